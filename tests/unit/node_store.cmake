hsm_unit_test(node_store_test LIBS hsmd_core)
hsm_unit_test(node_seal_test LIBS hsmd_core)
