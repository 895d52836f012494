# The client core: settings, and channels against nodes that misbehave.
foreach(test libhsm_core_config_test libhsm_core_call_test)
  hsm_unit_test(${test} SOURCES libhsm_core_fake_node.c LIBS hsm_static hsm_protocol OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
  target_include_directories(${test} PRIVATE ${PROJECT_SOURCE_DIR}/libhsm/src)
endforeach()
