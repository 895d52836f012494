# Serving: the dispatcher, the direct listener, the NNG listener.
foreach(subject dispatch direct hostile nng)
  hsm_unit_test(node_server_${subject}_test SOURCES node_server_support.c LIBS hsmd_core)
endforeach()
