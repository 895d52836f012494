# Sequences of calls of the PKCS#11 module, which is loaded as programs load it, against a node.
pkg_check_modules(NSS REQUIRED IMPORTED_TARGET nss)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
set(integration ${PROJECT_SOURCE_DIR}/tests/integration)
hsm_fuzz_target(pkcs11_calls_fuzz SOURCES ${integration}/api_fixture.c ${integration}/pkcs11_fixture.c
  pkcs11_calls.c pkcs11_calls_session.c pkcs11_calls_operation.c pkcs11_calls_message.c pkcs11_calls_object.c
  pkcs11_calls_key.c pkcs11_given.c pkcs11_mechanism.c pkcs11_model.c pkcs11_model_check.c pkcs11_world.c
  LIBS hsm_shared OpenSSL::Crypto PkgConfig::CMOCKA Threads::Threads ${CMAKE_DL_LIBS})
target_compile_definitions(pkcs11_calls_fuzz PRIVATE HSMD="$<TARGET_FILE:hsmd>"
                                                     HSM_PKCS11_MODULE="$<TARGET_FILE:hsm_pkcs11>")
get_target_property(nss_include PkgConfig::NSS INTERFACE_INCLUDE_DIRECTORIES)
target_include_directories(pkcs11_calls_fuzz SYSTEM PRIVATE ${nss_include})
target_include_directories(pkcs11_calls_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/bindings/pkcs11/include)
add_dependencies(pkcs11_calls_fuzz hsmd hsm_pkcs11)
