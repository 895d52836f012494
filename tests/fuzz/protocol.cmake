# Every decoder of bytes that a peer sent.
foreach(subject protocol_message protocol_reader)
  hsm_fuzz_target(${subject}_fuzz LIBS hsm_protocol)
endforeach()
target_include_directories(protocol_reader_fuzz PRIVATE ${MSGPACK_INCLUDE_DIR})
find_library(MSGPACK_LIBRARY NAMES msgpackc msgpack-c)
target_link_libraries(protocol_reader_fuzz PRIVATE ${MSGPACK_LIBRARY})
