# Objects in the store, and requests that work on them.
hsm_fuzz_target(node_object_fuzz LIBS hsmd_core)
hsm_fuzz_target(node_request_fuzz SOURCES ../unit/node_objects_fixture.c LIBS hsmd_core cmocka)
