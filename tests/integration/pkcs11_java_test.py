"""Java with the module: SunPKCS11 under keytool and jarsigner."""
import zipfile

import pytest

from fixture.pkcs11 import MODULE
from fixture.program import not_sanitized

pytestmark = not_sanitized


@pytest.fixture
def java(token):
    """Options by which Java's tools take the token as their key store."""
    config = token.write("java.cfg", f"name = cluster\nlibrary = {MODULE}\n")
    return ["-J-XX:TieredStopAtLevel=1", "-keystore", "NONE", "-storetype", "PKCS11", "-providerClass",
            "sun.security.pkcs11.SunPKCS11", "-providerArg", config, "-storepass", token.pin]


KINDS = {"rsa": ["-keyalg", "RSA", "-keysize", "2048"], "ec": ["-keyalg", "EC", "-groupname", "secp256r1"]}


def generate(token, java, label, kind):
    token.run("keytool", *java, "-genkeypair", "-alias", label, *KINDS[kind], "-dname", f"CN={label}", "-validity", "9")


@pytest.mark.parametrize("kind", KINDS)
def test_keytool_makes_a_key_lists_it_and_requests_a_certificate(token, java, kind):
    generate(token, java, "made", kind)
    assert "made, PrivateKeyEntry" in token.run("keytool", *java, "-list")
    token.run("keytool", *java, "-certreq", "-alias", "made", "-file", "made.csr")
    assert "verify OK" in token.run("openssl", "req", "-in", "made.csr", "-noout", "-verify")


def test_keytool_imports_the_certificate_that_a_ca_gave(token, java):
    generate(token, java, "leaf", "ec")
    token.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-subj", "/CN=CA", "-out", "ca.pem")
    token.run("keytool", *java, "-certreq", "-alias", "leaf", "-file", "leaf.csr")
    token.run("openssl", "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "leaf.pem")
    token.path("chain.pem").write_text(token.path("leaf.pem").read_text() + token.path("ca.pem").read_text())
    token.run("keytool", *java, "-importcert", "-noprompt", "-alias", "leaf", "-file", "chain.pem")
    told = token.run("keytool", *java, "-list", "-v", "-alias", "leaf")
    assert "Certificate chain length: 2" in told and "Issuer: CN=CA" in told


@pytest.mark.parametrize("kind", KINDS)
def test_jarsigner_signs_what_it_then_verifies(token, java, kind):
    generate(token, java, "signer", kind)
    with zipfile.ZipFile(token.path("a.jar"), "w") as jar:
        jar.writestr("file.txt", "content")
    token.run("jarsigner", *java, "a.jar", "signer")
    assert "jar verified" in token.run("jarsigner", "-verify", "a.jar")


def test_a_deleted_entry_is_gone(token, java):
    generate(token, java, "brief", "ec")
    token.run("keytool", *java, "-delete", "-alias", "brief")
    assert "0 entries" in token.run("keytool", *java, "-list")


PROGRAM = """
import java.security.*;
import java.security.spec.*;
import java.util.Arrays;
import javax.crypto.*;
import javax.crypto.spec.*;

public class Use {
    static void check(boolean right, String what) {
        if (!right)
            throw new IllegalStateException(what);
    }

    public static void main(String[] words) throws Exception {
        Provider token = Security.getProvider("SunPKCS11").configure(words[0]);
        Security.addProvider(token);
        KeyStore store = KeyStore.getInstance("PKCS11", token);
        store.load(null, words[1].toCharArray());
        byte[] text = "what is signed, or encrypted".getBytes();

        KeyGenerator generator = KeyGenerator.getInstance("AES", token);
        generator.init(256);
        SecretKey key = generator.generateKey();
        for (String name : new String[] {"AES/GCM/NoPadding", "AES/CBC/PKCS5Padding", "AES/CTR/NoPadding"}) {
            Cipher cipher = Cipher.getInstance(name, token);
            var parameters = name.contains("GCM") ? new GCMParameterSpec(128, "its a nonce!".getBytes())
                                                  : new IvParameterSpec(new byte[16]);
            cipher.init(Cipher.ENCRYPT_MODE, key, parameters);
            byte[] secret = cipher.doFinal(text);
            cipher.init(Cipher.DECRYPT_MODE, key, parameters);
            check(Arrays.equals(cipher.doFinal(secret), text), name);
        }
        for (String name : new String[] {"SHA256withRSA", "RSASSA-PSS", "SHA384withECDSA"}) {
            KeyPairGenerator pairs = KeyPairGenerator.getInstance(name.contains("EC") ? "EC" : "RSA", token);
            pairs.initialize(name.contains("EC") ? 384 : 2048);
            KeyPair pair = pairs.generateKeyPair();
            Signature signer = Signature.getInstance(name, token);
            if (name.contains("PSS"))
                signer.setParameter(new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1));
            signer.initSign(pair.getPrivate());
            signer.update(text);
            byte[] signature = signer.sign();
            Signature other = Signature.getInstance(name);
            if (name.contains("PSS"))
                other.setParameter(new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1));
            other.initVerify(pair.getPublic());
            other.update(text);
            check(other.verify(signature), name);
        }
        Mac mac = Mac.getInstance("HmacSHA256", token);
        mac.init(new SecretKeySpec(text, "HmacSHA256"));
        Mac same = Mac.getInstance("HmacSHA256", "SunJCE");
        same.init(new SecretKeySpec(text, "HmacSHA256"));
        check(Arrays.equals(mac.doFinal(text), same.doFinal(text)), "mac");
        check(Arrays.equals(MessageDigest.getInstance("SHA-256", token).digest(text),
                            MessageDigest.getInstance("SHA-256", "SUN").digest(text)), "digest");
        store.setEntry("aes", new KeyStore.SecretKeyEntry(key), null);
        check(store.getKey("aes", null) != null, "stored");
        System.out.println("all of it works");
    }
}
"""


def test_a_program_signs_encrypts_and_keeps_keys(token, java):
    source = token.write("Use.java", PROGRAM)
    assert "all of it works" in token.run("java", "-XX:TieredStopAtLevel=1", source, token.path("java.cfg"), token.pin)
