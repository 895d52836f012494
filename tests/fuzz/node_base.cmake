# What the node reads from files and from operators' hands.
foreach(subject node_config node_handover node_backup)
  hsm_fuzz_target(${subject}_fuzz LIBS hsmd_core)
endforeach()
