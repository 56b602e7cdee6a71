//! The recorded vectors of the group level: ElGamal and the Pohlig-Hellman cipher.

use p256_batch::{Column, POINT_SIZE, Point, Points, Scalars, SecretScalar, hash_to_curve_vartime};
use protocols::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, PublicKey, secret_key};
use serde_json::Value;
use std::io::BufReader;

fn load(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}.json.xz", env!("CARGO_MANIFEST_DIR"));
    let mut text = Vec::new();
    lzma_rs::xz_decompress(&mut BufReader::new(std::fs::File::open(path).unwrap()), &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

fn one(scalar: &SecretScalar) -> Scalars {
    let mut scalars = Scalars::with_capacity(1);
    scalars.push(scalar);
    scalars
}

fn ciphertext(value: &Value) -> Ciphertexts {
    Ciphertexts::decode(&bytes(value), CIPHERTEXT_SIZE, 0).unwrap()
}

fn encoded(ciphertexts: &Ciphertexts) -> Vec<u8> {
    let mut target = vec![0; ciphertexts.len() * CIPHERTEXT_SIZE];
    ciphertexts.encode_into(&mut target, CIPHERTEXT_SIZE, 0).unwrap();
    target
}

fn point(value: &Value) -> Points {
    Points::decode(&bytes(value), Column { stride: POINT_SIZE, offset: 0 }).unwrap()
}

fn encoded_point(points: &Points) -> Vec<u8> {
    points.get(0).encode().unwrap().to_vec()
}

#[test]
fn el_gamal_encrypts_and_decrypts_as_recorded() {
    for key in rows(&load("el_gamal")["keys"]) {
        let secret = secret_key(&bytes(&key["secret_key"])).unwrap();
        let public = PublicKey::decode(&bytes(&key["element"]), "element").unwrap();
        for row in rows(&key["encrypt"]) {
            let scalar = SecretScalar::from_be_bytes(&bytes(&row["random_scalar"])).unwrap();
            let encrypted = public.encrypt(&point(&row["plaintext_point"]), &one(&scalar));
            assert_eq!(encoded(&encrypted), bytes(&row["ciphertext"]));
            assert_eq!(encoded_point(&encrypted.decrypt(&secret)), bytes(&row["decrypted"]));
            assert_eq!(encrypted.zero_tests(&secret), [false]);
        }
        for row in rows(&key["encrypt_identity"]) {
            let scalar = SecretScalar::from_be_bytes(&bytes(&row["random_scalar"])).unwrap();
            let encrypted = public.encrypt_zeros(&one(&scalar));
            assert_eq!(encoded(&encrypted), bytes(&row["ciphertext"]));
            assert_eq!(encrypted.zero_tests(&secret), [true]);
        }
        for row in rows(&key["decrypt_any"]) {
            assert_eq!(encoded_point(&ciphertext(&row["ciphertext"]).decrypt(&secret)), bytes(&row["decrypted"]));
        }
    }
}

#[test]
fn the_pohlig_hellman_cipher_encrypts_as_recorded() {
    let vectors = load("ec_commutative_cipher");
    for cipher in rows(&vectors["ciphers"]) {
        let key = SecretScalar::from_be_bytes(&bytes(&cipher["key_given"])).unwrap();
        assert_eq!(*key.to_minimal_be_bytes_vartime(), bytes(&cipher["key_exported"]));
        for row in rows(&cipher["encrypt"]) {
            let hashed = hash_to_curve_vartime(&bytes(&row["plaintext"]));
            assert_eq!(hashed.encode().unwrap().to_vec(), bytes(&row["decrypted_point"]));
            assert_eq!(hashed.times(&key).encode().unwrap().to_vec(), bytes(&row["ciphertext"]));
        }
        for row in rows(&cipher["re_encrypt"]) {
            assert_eq!(encoded_point(&point(&row["point"]).times(&key)), bytes(&row["re_encrypted"]));
        }
        for row in rows(&cipher["re_encrypt_el_gamal"]) {
            let given = ciphertext(&row["ciphertext"]);
            let encrypted = Ciphertexts { u: given.u.times(&key), e: given.e.times(&key) };
            assert_eq!(encoded(&encrypted), bytes(&row["re_encrypted"]));
        }
    }
    for row in rows(&vectors["rejected_keys"]) {
        assert!(SecretScalar::from_be_bytes(&bytes(&row["key"])).is_err());
    }
}

/// The specification's check vector: secrets 5, 7, 11, r = 13, plaintext H("1"), Pohlig-Hellman key 3.
#[test]
fn a_worked_example_of_the_specification_holds() {
    let scalar = |value: u8| SecretScalar::from_be_bytes(&[value]).unwrap();
    let hex = |text: &str| bytes(&Value::from(text));
    let joint = hex("030e91c7239c2640d7d28a3e39d4583fa63c0bc0a5df64a4fe672e573045ca7896");
    let elements: Vec<_> = [5, 7, 11].map(|secret| protocols::keys::public_element(&[secret]).unwrap()).into();
    assert_eq!(protocols::keys::combine_public_keys(&elements).unwrap().to_vec(), joint);
    let key = PublicKey::decode(&joint, "joint key").unwrap();
    let plaintext = Points::from_iter([hash_to_curve_vartime(b"1")]);
    let encrypted = key.encrypt(&plaintext, &one(&scalar(13)));
    let u = "02177c837ae0ac495a61805df2d85ee2fc792e284b65ead58a98e15d9d46072c01";
    assert_eq!(
        encoded(&encrypted),
        hex(&format!("{u}027b0d6ce2eb68da862ef659410773357c1bde0061a158b875d1e570505da5baa2"))
    );
    let partial = encrypted.partial_decrypt(&scalar(5));
    assert_eq!(
        encoded(&partial),
        hex(&format!("{u}021db26da949791ece046e69d1253ec21b8916239b1a53326ede8f02d80246cf38"))
    );
    let blinded = "0322a682f7c3996d4d42014976a179046e547b942dd2d138d4a0c199ddfb2776c403518a66a964706fb2a38462b37de9fd065327f7cf3286e8c7a705c1b30801fcf0";
    assert_eq!(encoded(&encrypted.blind(&scalar(5), &scalar(3))), hex(blinded));
    let fresh = "02409f8da21aea236a5f5a1904d0310c1c6192a67d0da08936319869a8ad0838a303420e1997323f56f40a48a59dd8bef298691ac7fcb7f31995230b40ce6f303564";
    assert_eq!(encoded(&encrypted.re_randomise(&key, &one(&scalar(17)))), hex(fresh));
    let rest = partial.partial_decrypt(&scalar(7)).decrypt(&scalar(11));
    assert_eq!(encoded_point(&rest), hash_to_curve_vartime(b"1").encode().unwrap());
}

#[test]
fn keys_that_cancel_out_are_refused() {
    let one = protocols::keys::public_element(&[1]).unwrap();
    let minus_one = Point::decode(&one).unwrap().negated().encode().unwrap();
    assert!(protocols::keys::combine_public_keys(&[one, minus_one]).is_err());
    assert!(protocols::keys::combine_public_keys::<Vec<u8>>(&[]).is_err());
    assert!(protocols::keys::combine_public_keys(&[vec![4; 33]]).is_err(), "a single key is validated too");
}
