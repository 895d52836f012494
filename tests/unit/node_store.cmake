# The store, on its own.
foreach(subject store store_fault)
  hsm_unit_test(node_${subject}_test LIBS hsmd_core)
endforeach()
