# Objects, operations and the audit log, over the real store and real cryptography.
foreach(subject operation_table operation_create)
  hsm_unit_test(node_${subject}_test SOURCES node_objects_fixture.c LIBS hsmd_core)
endforeach()
