#!/usr/bin/python3
"""Makes the tables of docs/pkcs11.md: each function of PKCS#11 3.0 and each mechanism, with the test that proves it.

Functions come from the header, mechanisms from C_GetMechanismList and C_GetMechanismInfo of the built module with a node
behind it (tests/integration/pkcs11_negative facts, which knows the rows of the tests, too). What a function does is said
here, in FUNCTIONS; that its test calls it with that result is read from the test's source. Whatever does not fit is an
error: a function or mechanism without a test, a test that is not run, a result that the test does not ask for.

    describe.py --build build/release --update docs/pkcs11.md    writes between the page's markers
    describe.py --build build/release --check docs/pkcs11.md     fails when the page says something else
"""
import argparse
import functools
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests/integration"
BEGIN = "<!-- tables: made by bindings/pkcs11/describe.py -->\n"
END = "<!-- end of tables -->\n"

# Of functions that do what the standard says, that; of the others first the error that they answer with.
MODULE, SESSION, OBJECT, FIND, OPERATION = "module", "session", "object", "find", "operation"
SIGN, RECOVER, CIPHER, BUFFER, WRAP = "sign", "recover", "cipher", "buffer", "wrap"
DERIVE, MESSAGE = "derive", "message"
FUNCTIONS = {
    "C_Initialize": ("begins; all callbacks for mutexes, or none", MODULE, "initialize_takes_all_callbacks_or_none"),
    "C_Finalize": ("ends, with sessions and login", MODULE, "finalize_takes_sessions_and_login_along"),
    "C_GetInfo": ("the module's name and version", MODULE, "texts_are_filled_with_blanks_and_have_no_nul"),
    "C_GetFunctionList": ("the functions of 2.40", MODULE, "lists_of_functions_agree_and_have_no_holes"),
    "C_GetSlotList": ("one slot for each cluster", MODULE, "slot_list_is_counted_then_given"),
    "C_GetSlotInfo": ("its configuration", MODULE, "slot_list_is_counted_then_given"),
    "C_GetTokenInfo": ("the cluster", SESSION, "token_info_counts_sessions"),
    "C_GetMechanismList": ("what the cluster offers", MODULE, "every_listed_mechanism_has_its_info_once"),
    "C_GetMechanismInfo": ("sizes and uses", MODULE, "every_listed_mechanism_has_its_info_once"),
    "C_InitToken": ("CKR_TOKEN_WRITE_PROTECTED", MODULE, "the_token_cannot_be_initialized_by_a_program"),
    "C_InitPIN": ("makes a crypto-user, or resets a password", SESSION,
                  "the_officer_makes_users_and_they_change_their_passwords"),
    "C_SetPIN": ("changes one's own password", SESSION, "the_officer_makes_users_and_they_change_their_passwords"),
    "C_OpenSession": ("opens a session; nothing travels", SESSION, "handles_of_closed_sessions_are_never_given_again"),
    "C_CloseSession": ("closes it, with its objects", SESSION, "closing_a_session_destroys_its_objects_and_no_others"),
    "C_CloseAllSessions": ("closes those of a slot, with the login", SESSION, "the_last_close_ends_the_login"),
    "C_GetSessionInfo": ("state and flags", SESSION, "sessions_are_public_user_or_officer_by_the_login"),
    "C_GetOperationState": ("CKR_STATE_UNSAVEABLE while an operation is active", SESSION,
                            "operation_states_are_not_saved"),
    "C_SetOperationState": ("CKR_SAVED_STATE_INVALID", SESSION, "operation_states_are_not_saved"),
    "C_Login": ("logs a crypto-user or an administrator in", SESSION, "a_pin_is_user_and_password"),
    "C_Logout": ("logs out", SESSION, "logout_takes_private_objects_away"),
    "C_CreateObject": ("data, certificates, keys by their components", OBJECT,
                       "rsa_keys_are_imported_by_their_components"),
    "C_CopyObject": ("copies, with a template", OBJECT, "copies_have_what_the_original_has_but_what_was_asked_for"),
    "C_DestroyObject": ("destroys", OBJECT, "handles_of_destroyed_objects_are_never_given_again"),
    "C_GetObjectSize": ("about how much room it takes", OBJECT, "data_comes_back_as_it_was_given"),
    "C_GetAttributeValue": ("each attribute for itself", OBJECT, "each_attribute_is_answered_for_itself"),
    "C_SetAttributeValue": ("changes what may be changed", OBJECT, "attributes_change_as_the_standard_lets_them"),
    "C_FindObjectsInit": ("begins a search", FIND, "more_objects_than_a_page_are_each_found_once"),
    "C_FindObjects": ("gives what was found, page by page", FIND, "more_objects_than_a_page_are_each_found_once"),
    "C_FindObjectsFinal": ("ends it", FIND, "more_objects_than_a_page_are_each_found_once"),
    "C_EncryptInit": ("begins; nothing travels", CIPHER, "aes_modes_go_in_parts_of_any_size"),
    "C_Encrypt": ("one request", BUFFER, "encryption_may_happen_in_place"),
    "C_EncryptUpdate": ("parts of any size", CIPHER, "aes_modes_go_in_parts_of_any_size"),
    "C_EncryptFinal": ("the last of them", CIPHER, "aes_modes_go_in_parts_of_any_size"),
    "C_DecryptInit": ("begins; nothing travels", CIPHER, "aes_modes_go_in_parts_of_any_size"),
    "C_Decrypt": ("one request", BUFFER, "encryption_may_happen_in_place"),
    "C_DecryptUpdate": ("parts of any size; AEAD gives nothing out before its tag", CIPHER,
                        "gcm_in_parts_gives_no_plaintext_before_the_tag_was_right"),
    "C_DecryptFinal": ("the last of them", CIPHER, "aes_modes_go_in_parts_of_any_size"),
    "C_DigestInit": ("begins; digests are computed in the module", SIGN, "digests_are_those_of_openssl"),
    "C_Digest": ("at once", SIGN, "digests_are_those_of_openssl"),
    "C_DigestUpdate": ("in parts", SIGN, "digests_are_those_of_openssl"),
    "C_DigestKey": ("a key whose value may be seen", SIGN, "keys_are_digested_when_their_value_may_be_seen"),
    "C_DigestFinal": ("the last of them", SIGN, "digests_are_those_of_openssl"),
    "C_SignInit": ("begins; nothing travels", SIGN, "rsa_signs_with_every_hash_as_openssl_verifies"),
    "C_Sign": ("one request", SIGN, "rsa_signs_with_every_hash_as_openssl_verifies"),
    "C_SignUpdate": ("parts of any size", SIGN, "long_messages_are_signed_in_parts"),
    "C_SignFinal": ("the last of them", SIGN, "long_messages_are_signed_in_parts"),
    "C_SignRecoverInit": ("begins; nothing travels", RECOVER, "what_was_signed_comes_back"),
    "C_SignRecover": ("one request", RECOVER, "what_was_signed_comes_back"),
    "C_VerifyInit": ("begins; nothing travels", SIGN, "rsa_signs_with_every_hash_as_openssl_verifies"),
    "C_Verify": ("one request", SIGN, "rsa_signs_with_every_hash_as_openssl_verifies"),
    "C_VerifyUpdate": ("parts of any size", SIGN, "rsa_signs_with_every_hash_as_openssl_verifies"),
    "C_VerifyFinal": ("the last of them", SIGN, "rsa_signs_with_every_hash_as_openssl_verifies"),
    "C_VerifyRecoverInit": ("begins; nothing travels", RECOVER, "what_was_signed_comes_back"),
    "C_VerifyRecover": ("one request", RECOVER, "what_was_signed_comes_back"),
    "C_DigestEncryptUpdate": ("both", BUFFER, "dual_functions_do_both"),
    "C_DecryptDigestUpdate": ("both", BUFFER, "dual_functions_do_both"),
    "C_SignEncryptUpdate": ("both", BUFFER, "dual_functions_do_both"),
    "C_DecryptVerifyUpdate": ("both", BUFFER, "dual_functions_do_both"),
    "C_GenerateKey": ("makes a secret key", "negative_generate", "keys_are_made_in_every_size_between_the_limits"),
    "C_GenerateKeyPair": ("makes a pair", "negative_generate", "keys_are_made_in_every_size_between_the_limits"),
    "C_WrapKey": ("a key under another", WRAP, "keys_wrap_and_unwrap_with_every_mechanism"),
    "C_UnwrapKey": ("and back", WRAP, "keys_wrap_and_unwrap_with_every_mechanism"),
    "C_DeriveKey": ("a key out of another", DERIVE, "ecdh_agrees_with_openssl_in_every_form_of_the_point"),
    "C_SeedRandom": ("CKR_RANDOM_SEED_NOT_SUPPORTED", SESSION, "random_bytes_differ"),
    "C_GenerateRandom": ("random bytes of a node", SESSION, "random_bytes_differ"),
    "C_GetFunctionStatus": ("CKR_FUNCTION_NOT_PARALLEL", SESSION, "operation_states_are_not_saved"),
    "C_CancelFunction": ("CKR_FUNCTION_NOT_PARALLEL", SESSION, "operation_states_are_not_saved"),
    "C_WaitForSlotEvent": ("CKR_NO_EVENT, or waits until C_Finalize: no slot comes or goes", MODULE,
                           "finalize_wakes_who_waits_for_a_slot"),
    "C_GetInterfaceList": ("3.0 and 2.40", MODULE, "interfaces_are_found_by_name_version_and_flags"),
    "C_GetInterface": ("one of them", MODULE, "interfaces_are_found_by_name_version_and_flags"),
    "C_LoginUser": ("C_Login with the user's name by itself", SESSION, "login_user_takes_the_name_on_its_own"),
    "C_SessionCancel": ("ends operations", OPERATION, "operations_are_cancelled_by_flags_or_by_a_null_mechanism"),
    "C_MessageEncryptInit": ("begins; nothing travels", MESSAGE, "many_messages_go_under_one_init"),
    "C_EncryptMessage": ("one request a message", MESSAGE, "many_messages_go_under_one_init"),
    "C_EncryptMessageBegin": ("begins one in parts", MESSAGE, "messages_go_in_parts"),
    "C_EncryptMessageNext": ("its parts", MESSAGE, "messages_go_in_parts"),
    "C_MessageEncryptFinal": ("ends", MESSAGE, "many_messages_go_under_one_init"),
    "C_MessageDecryptInit": ("begins; nothing travels", MESSAGE, "many_messages_go_under_one_init"),
    "C_DecryptMessage": ("one request a message", MESSAGE, "many_messages_go_under_one_init"),
    "C_DecryptMessageBegin": ("begins one in parts", MESSAGE, "messages_go_in_parts"),
    "C_DecryptMessageNext": ("its parts; plaintext comes with the last", MESSAGE, "messages_go_in_parts"),
    "C_MessageDecryptFinal": ("ends", MESSAGE, "many_messages_go_under_one_init"),
} | {name: (f"CKR_{error}", MESSAGE, "message_signatures_are_refused_at_once") for name, error in {
    "C_MessageSignInit": "MECHANISM_INVALID: none has parameters for each message",
    "C_SignMessage": "OPERATION_NOT_INITIALIZED", "C_SignMessageBegin": "OPERATION_NOT_INITIALIZED",
    "C_SignMessageNext": "OPERATION_NOT_INITIALIZED", "C_MessageSignFinal": "OPERATION_NOT_INITIALIZED",
    "C_MessageVerifyInit": "MECHANISM_INVALID: none has parameters for each message",
    "C_VerifyMessage": "OPERATION_NOT_INITIALIZED", "C_VerifyMessageBegin": "OPERATION_NOT_INITIALIZED",
    "C_VerifyMessageNext": "OPERATION_NOT_INITIALIZED", "C_MessageVerifyFinal": "OPERATION_NOT_INITIALIZED"}.items()}

# CKF_ names by their bits (PKCS#11 3.2, CK_MECHANISM_INFO), in the order of the standard.
FLAGS = {0x2: "MESSAGE_ENCRYPT", 0x4: "MESSAGE_DECRYPT", 0x8: "MESSAGE_SIGN", 0x10: "MESSAGE_VERIFY", 0x100: "ENCRYPT",
         0x200: "DECRYPT", 0x400: "DIGEST", 0x800: "SIGN", 0x1000: "SIGN_RECOVER", 0x2000: "VERIFY",
         0x4000: "VERIFY_RECOVER", 0x8000: "GENERATE", 0x10000: "GENERATE_KEY_PAIR", 0x20000: "WRAP", 0x40000: "UNWRAP",
         0x80000: "DERIVE", 0x100000: "EC_F_P", 0x200000: "EC_F_2M", 0x400000: "EC_ECPARAMETERS", 0x800000: "EC_NAMEDCURVE",
         0x1000000: "EC_UNCOMPRESS", 0x2000000: "EC_COMPRESS", 0x10000000: "ENCAPSULATE", 0x20000000: "DECAPSULATE"}

FUNCTION = re.compile(r"^[\w ]+?[ *](\w+)\([^;{]*\)\n\{\n(.*?)^\}", re.M | re.S)


class Wrong(Exception):
    """What cannot be written, because nothing proves it."""


# --- tests ---

class Source:
    """A file of tests: its functions, and those of the fixtures that they call."""

    SHARED = ("pkcs11_fixture.c", "pkcs11_negative.c", "pkcs11_negative_keys.c")

    def __init__(self, name):
        self.path = TESTS / name
        if not self.path.exists():
            raise Wrong(f"{name}: no such file of tests")
        text = self.path.read_text()
        self.bodies = {}
        for part in [*((TESTS / shared).read_text() for shared in self.SHARED), text]:
            self.bodies |= dict(FUNCTION.findall(part))
        self.run = set(re.findall(r"(?:user_test|initialized_test|cmocka_unit_test\w*)\((\w+)", text))

    def text_of(self, test):
        """The body of a test, and of all that it calls."""
        if test not in self.run:
            raise Wrong(f"{self.path.name}: no test {test} is run")
        pending, seen = [test], set()
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                pending += [word for word in re.findall(r"\w+", self.bodies[name]) if word in self.bodies]
        return "\n".join(self.bodies[name] for name in sorted(seen))


@functools.cache
def source(name):
    return Source(name)


def link(file, test):
    return f"[{test}](../tests/integration/{file})"


def check_call(name, what, file, test):
    """A call whose result is the one that the table says: the error that it begins with, or success."""
    text = source(file).text_of(test)
    error = re.match(r"CKR_\w+", what)
    call = rf"p11->{name}\b" if name not in ("C_GetFunctionList", "C_GetInterface", "C_GetInterfaceList") else rf"\b{name}\b"
    if error:
        found = re.search(rf"RV\({error[0]},\s*{call}", text)
    else:
        refused = r"(?:REFUSED\(|RV\(CKR_(?!OK\b)\w+,\s*)$"
        found = any(not re.search(refused, text[:match.start()]) for match in re.finditer(call, text))
    if not found:
        raise Wrong(f"{file}: {test} does not show that {name} does this: {what}")


# --- tables ---

def functions_table(names):
    yield "\n### Functions\n\n| function | what it does, or the error that it answers with | test |\n| --- | --- | --- |\n"
    if set(names) != set(FUNCTIONS):
        raise Wrong(f"FUNCTIONS and the header differ: {sorted(set(names) ^ set(FUNCTIONS))}")
    for name in names:
        what, part, test = FUNCTIONS[name]
        file = f"pkcs11_{part}_test.c"
        check_call(name, what, file, test)
        what = re.sub(r"(C(?:KR)?_\w+)", r"`\1`", what)
        yield f"| `{name}` | {what} | {link(file, test)} |\n"


def sizes(least, most):
    return least if least == most else f"{least}–{most}"


def flag_names(flags):
    if rest := flags & ~sum(FLAGS):
        raise Wrong(f"flags {rest:#x} have no name")
    return " ".join(name for bit, name in FLAGS.items() if flags & bit)


def mechanisms_table(mechanisms):
    yield ("\n### Mechanisms\n\nSizes and flags are those of `C_GetMechanismInfo`, with a node whose settings `allow-raw-rsa`, "
           "`allow-sha1-sign` and\n`allow-des3-encrypt` are on: without the first `CKM_RSA_X_509` is not offered, without the "
           "others a node answers\n`CKR_MECHANISM_INVALID` when SHA-1 would sign or 3DES encrypt or wrap. Those with a star "
           "need OpenSSL 3.5 in the node. As the standard has it,\nkeys of AES and 3DES are counted in bytes, those of ML-DSA and "
           "ML-KEM by the public key in bytes, all others in bits.\n\n"
           "| mechanism | key sizes | flags (`CKF_`) | test |\n| --- | --- | --- | --- |\n")
    for name, least, most, flags, file, test, *later in mechanisms:
        if test == "-":
            raise Wrong(f"mechanism {name} has no row in tests/integration/pkcs11_negative_*_test.c")
        source(file).text_of(test)
        size = "" if most == "0" else sizes(least, most)
        star = r" \*" if later else ""
        yield f"| `{name}`{star} | {size} | {flag_names(int(flags, 16))} | {link(file, test)} |\n"


def make_tables(build):
    done = subprocess.run([build / "tests/integration/pkcs11_negative", "facts"], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise Wrong(done.stdout + done.stderr)
    facts = [line.split() for line in done.stdout.splitlines() if line.startswith(("function ", "mechanism "))]
    return "".join([*functions_table([name for kind, name, *_ in facts if kind == "function"]),
                    *mechanisms_table(sorted((fact for kind, *fact in facts if kind == "mechanism"), key=place))]) + "\n"


def place(fact):
    """By families of tests, in the order of the node's list; the generating ones come first."""
    return "generate" not in fact[4], fact[4]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--update", type=Path, metavar="PAGE")
    what.add_argument("--check", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    page = arguments.update or arguments.check
    text = page.read_text()
    try:
        head, _, tail = text.partition(BEGIN)
        if END not in tail:
            raise Wrong(f"{page} has no markers for tables")
        wanted = head + BEGIN + make_tables(arguments.build.resolve()) + END + tail.partition(END)[2]
    except Wrong as reason:
        sys.exit(f"describe.py: {reason}")
    if arguments.update:
        page.write_text(wanted)
    elif text != wanted:
        sys.exit(f"{page} is not what the code says: run bindings/pkcs11/describe.py --update on it")


if __name__ == "__main__":
    main()
