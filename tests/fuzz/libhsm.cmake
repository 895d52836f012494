# What a client reads: answers of nodes, frames on a connection, its configuration file, key references.
foreach(subject libhsm_answer libhsm_frame libhsm_config libhsm_reference)
  hsm_fuzz_target(${subject}_fuzz LIBS hsm_static hsm_protocol OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
  target_include_directories(${subject}_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/libhsm/src)
endforeach()
