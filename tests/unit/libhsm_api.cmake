# The public functions: over a core without a network, and what needs none through the shared library.
hsm_unit_test(libhsm_api_catalog_test LIBS hsm_shared)
foreach(test libhsm_api_operation_test libhsm_api_session_test)
  hsm_unit_test(${test} SOURCES libhsm_api_fake_core.c LIBS hsm_static hsm_protocol OpenSSL::Crypto Threads::Threads)
  target_include_directories(${test} PRIVATE ${PROJECT_SOURCE_DIR}/libhsm/src)
endforeach()
