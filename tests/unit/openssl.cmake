# The provider's parts that stand alone.
hsm_unit_test(openssl_wait_test SOURCES ${PROJECT_SOURCE_DIR}/bindings/openssl/src/wait.c
              LIBS hsm_static OpenSSL::Crypto Threads::Threads)
target_include_directories(openssl_wait_test PRIVATE ${PROJECT_SOURCE_DIR}/bindings/openssl/src)

hsm_unit_test(openssl_outage_test SOURCES ${PROJECT_SOURCE_DIR}/bindings/openssl/src/outage.c LIBS hsm_static)
target_include_directories(openssl_outage_test PRIVATE ${PROJECT_SOURCE_DIR}/bindings/openssl/src)
