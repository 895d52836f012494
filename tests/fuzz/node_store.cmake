# What the node reads from the store: the file, and the records of users and of the cluster.
foreach(subject node_store node_user)
  hsm_fuzz_target(${subject}_fuzz LIBS hsmd_core)
endforeach()
