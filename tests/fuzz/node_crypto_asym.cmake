# Key material and public keys from outside.
hsm_fuzz_target(node_key_fuzz LIBS hsmd_core)
