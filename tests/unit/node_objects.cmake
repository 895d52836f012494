# Objects, operations and the audit log, over the real store and real cryptography.
foreach(subject object_record object_change object_find object_cache operation_table operation_create operation_crypto operation_user
                user_use_proof audit rotation)
  hsm_unit_test(node_${subject}_test SOURCES node_objects_fixture.c LIBS hsmd_core)
endforeach()
foreach(subject removed late damaged)
  hsm_unit_test(node_rotation_${subject}_test SOURCES node_objects_fixture.c node_cluster_fixture.c node_ca_fixture.c LIBS hsmd_core)
endforeach()
target_link_options(node_rotation_late_test PRIVATE -Wl,--wrap=vault_save)
