hsm_unit_test(protocol_reader_test LIBS hsm_protocol)
hsm_unit_test(protocol_message_test LIBS hsm_protocol)
hsm_unit_test(protocol_table_test LIBS hsm_protocol)
add_test(NAME unit.protocol_page COMMAND hsm_protocol_describe --check ${CMAKE_SOURCE_DIR}/docs/protocol.md)
