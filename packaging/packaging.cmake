# Debian packages: libhsm (the library), libhsm-dev (to build with it), libhsm-pkcs11 (the PKCS#11 module), hsmd (a
# node, as a service), hsm-tools (the command). `./dev package` makes them.
install(FILES ${CMAKE_SOURCE_DIR}/samples/systemd/hsmd.service DESTINATION lib/systemd/system COMPONENT node)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/hsmd.sysusers DESTINATION lib/sysusers.d RENAME hsmd.conf COMPONENT node)
install(FILES ${CMAKE_SOURCE_DIR}/docs/node.md ${CMAKE_SOURCE_DIR}/docs/etcd.md ${CMAKE_SOURCE_DIR}/docs/backup.md
              ${CMAKE_SOURCE_DIR}/docs/quorum.md ${CMAKE_SOURCE_DIR}/docs/audit.md ${CMAKE_SOURCE_DIR}/docs/operation.md
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/hsmd COMPONENT node)

add_custom_command(
  OUTPUT hsmd.yaml
  COMMAND hsmd --print-config > hsmd.yaml
  DEPENDS hsmd
  VERBATIM)
add_custom_target(hsmd_example ALL DEPENDS hsmd.yaml)
install(FILES ${CMAKE_BINARY_DIR}/hsmd.yaml DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/hsmd/examples COMPONENT node)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME libhsm)
set(CPACK_PACKAGE_VENDOR libhsm)
set(CPACK_PACKAGE_CONTACT "libhsm <libhsm@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL library development pkcs11 node tools)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/libhsm)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libhsm)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libhsm-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libhsm (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_PKCS11_PACKAGE_NAME libhsm-pkcs11)
set(CPACK_DEBIAN_PKCS11_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PKCS11_PACKAGE_DEPENDS "libhsm (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_PKCS11_PACKAGE_SUGGESTS "p11-kit, opensc")
set(CPACK_DEBIAN_NODE_PACKAGE_NAME hsmd)
set(CPACK_DEBIAN_NODE_PACKAGE_SECTION net)
set(CPACK_DEBIAN_NODE_PACKAGE_RECOMMENDS hsm-tools)
set(CPACK_DEBIAN_NODE_PACKAGE_CONTROL_EXTRA "${CMAKE_SOURCE_DIR}/packaging/postinst;${CMAKE_SOURCE_DIR}/packaging/prerm")
set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME hsm-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "libhsm (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "HSM client library\n Keys held by a cluster of HSM nodes, never by the application.")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "HSM client library: headers\n To build programs with libhsm.")
set(CPACK_COMPONENT_PKCS11_DESCRIPTION "HSM cluster as a PKCS#11 token\n For every program that speaks PKCS#11.")
set(CPACK_COMPONENT_NODE_DESCRIPTION "HSM node\n Holds the keys of a cluster and does the cryptography.")
set(CPACK_COMPONENT_TOOLS_DESCRIPTION "HSM command\n For operators and developers of a cluster of HSM nodes.")
include(CPack)
