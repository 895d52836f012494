# Store and sealing on their own; users on two nodes without network.
foreach(subject store store_fault seal)
  hsm_unit_test(node_${subject}_test LIBS hsmd_core)
endforeach()
foreach(subject user user_login)
  hsm_unit_test(node_${subject}_test SOURCES node_objects_fixture.c LIBS hsmd_core)
endforeach()
