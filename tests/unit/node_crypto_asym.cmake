# Asymmetric cryptography of the node: published answers, making and opening keys, use and misuse.
foreach(subject known key use)
  hsm_unit_test(node_crypto_asym_${subject}_test LIBS hsmd_core)
endforeach()
