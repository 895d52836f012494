# The public functions: over a core without a network, and what needs none through the shared library.
hsm_unit_test(libhsm_api_catalog_test LIBS hsm_shared)
foreach(test libhsm_api_operation_test libhsm_api_prepare_test libhsm_api_reference_test libhsm_api_session_test)
  hsm_unit_test(${test} SOURCES libhsm_api_fake_core.c LIBS hsm_static hsm_protocol OpenSSL::Crypto Threads::Threads)
  target_include_directories(${test} PRIVATE ${PROJECT_SOURCE_DIR}/libhsm/src)
endforeach()

# The ABI: whatever an application built against the baseline uses must still be there and look the same. Additions are free.
# The target libhsm_abi_baseline renews it; until the first release that is allowed, afterwards it means a new SONAME.
find_program(ABIDIFF abidiff)
find_program(ABIDW abidw)
set(abi_baseline ${PROJECT_SOURCE_DIR}/libhsm/libhsm.abi)
if(ABIDIFF AND ABIDW AND NOT HSM_SANITIZE AND CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  add_test(NAME unit.libhsm_abi
           COMMAND ${ABIDIFF} --no-added-syms --suppressions ${PROJECT_SOURCE_DIR}/libhsm/libhsm.abignore
                   ${abi_baseline} $<TARGET_FILE:hsm_shared>)
  add_custom_target(libhsm_abi_baseline
    COMMAND ${ABIDW} --headers-dir ${PROJECT_SOURCE_DIR}/libhsm/include/hsm --drop-private-types --no-show-locs
            --no-corpus-path --no-comp-dir-path --out-file ${abi_baseline} $<TARGET_FILE:hsm_shared>
    COMMAND sed -i "s|path='${PROJECT_SOURCE_DIR}/|path='|" ${abi_baseline}
    DEPENDS hsm_shared VERBATIM)
endif()
