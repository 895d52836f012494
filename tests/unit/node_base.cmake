# Configuration, identity, members, observation and the tail of the node.
foreach(subject config member observe tail)
  hsm_unit_test(node_${subject}_test LIBS hsmd_core)
endforeach()
hsm_unit_test(node_identity_test SOURCES node_ca_fixture.c LIBS hsmd_core)
target_link_options(node_tail_test PRIVATE -Wl,--wrap=objects_forget,--wrap=objects_forget_all,--wrap=users_forget,--wrap=users_forget_all,--wrap=anchors_follow)
target_compile_definitions(node_config_test PRIVATE HSM_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
