// crypto (W3C Web Cryptography): what is asked for, and the forms of keys. The arithmetic is native.

export function init($, native) {
  const { TOKEN, bytesOf, interfaces, joined } = $.kit;

  const fail = (name, text) => new DOMException(text, name);
  const copy = (data, what = "data") => {
    const bytes = bytesOf(data);
    if (bytes === undefined) throw new TypeError(`${what} is not a buffer or a view of one`);
    return bytes.slice();
  };
  const base64url = {
    encode: (bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true }),
    decode: (text) => {
      try {
        return Uint8Array.fromBase64(String(text), { alphabet: "base64url" });
      } catch {
        throw fail("DataError", "Invalid keyData");
      }
    },
  };

  // The little of DER (X.690) that keys need.

  const der = (tag, ...parts) => {
    const body = joined(parts), { length } = body;
    const head = length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
    return joined([new Uint8Array(head), body]);
  };
  const bytes = (...list) => new Uint8Array(list);
  const malformed = () => fail("DataError", "Invalid keyData");
  /** The next element: [tag, content, rest]. */
  function element(data) {
    let length = data[1], at = 2;
    if (length === undefined) throw malformed();
    if (length > 0x82 || length === 0x80) throw malformed();
    if (length > 0x80) {
      const count = length - 0x80;
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + data[at++];
    }
    if (!(at + length <= data.length)) throw malformed();
    return [data[0], data.subarray(at, at + length), data.subarray(at + length)];
  }
  function elements(data) {
    const list = [];
    while (data.length) {
      const [tag, content, rest] = element(data);
      list.push([tag, content]);
      data = rest;
    }
    return list;
  }
  function inside(tag, data) {
    const [found, content, rest] = element(data);
    if (found !== tag || rest.length) throw malformed();
    return content;
  }
  const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
  const OID = {
    ec: der(6, bytes(0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1)),
    "P-256": der(6, bytes(0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7)),
    "P-384": der(6, bytes(0x2b, 0x81, 4, 0, 0x22)),
    Ed25519: der(6, bytes(0x2b, 0x65, 0x70)),
    rsa: der(6, bytes(0x2a, 0x86, 0x48, 0x86, 0xf7, 0xd, 1, 1, 1)),
  };
  const identifier = (name) => (name === "Ed25519" ? der(0x30, OID.Ed25519) : der(0x30, OID.ec, OID[name]));
  const SIZE = { "P-256": 32, "P-384": 48, Ed25519: 32 };

  const spki = (name, point) => der(0x30, identifier(name), der(3, bytes(0), point));
  function pkcs8(name, secret, point) {
    const key = name === "Ed25519" ? der(4, secret)
      : der(0x30, der(2, bytes(1)), der(4, secret), der(0xa1, der(3, bytes(0), point)));
    return der(0x30, der(2, bytes(0)), identifier(name), der(4, key));
  }
  function fromSpki(name, data) {
    const [[, algorithm], [tag, bits]] = elements(inside(0x30, data));
    const wanted = inside(0x30, identifier(name));
    if (!same(algorithm, wanted) || tag !== 3 || bits[0] !== 0) throw malformed();
    return bits.slice(1);
  }
  function fromPkcs8(name, data) {
    const [, [, algorithm], [tag, content]] = elements(inside(0x30, data));
    if (!same(algorithm, inside(0x30, identifier(name))) || tag !== 4) throw malformed();
    if (name === "Ed25519") {
      const secret = inside(4, content).slice();
      return [secret, native.publicOf(secret)];
    }
    const parts = elements(inside(0x30, content));
    const secret = parts.find(([tag]) => tag === 4)?.[1], point = parts.find(([tag]) => tag === 0xa1)?.[1];
    if (!secret || !point) throw fail("NotSupportedError", "A private key needs its public key beside it");
    return [secret.slice(), inside(3, point).slice(1)];
  }

  // Keys.

  let material;
  class CryptoKey {
    #type;
    #extractable;
    #algorithm;
    #usages;
    #material;
    constructor(token, type, extractable, algorithm, usages, given) {
      if (token !== TOKEN) throw new TypeError("Illegal constructor");
      this.#type = type;
      this.#extractable = extractable;
      this.#algorithm = algorithm;
      this.#usages = usages;
      this.#material = given;
    }
    get type() { return this.#type; }
    get extractable() { return this.#extractable; }
    get algorithm() { return this.#algorithm; }
    get usages() { return this.#usages; }
    static { material = (key) => key.#material; }
  }

  const NAMES = ["HMAC", "AES-GCM", "PBKDF2", "HKDF", "ECDSA", "Ed25519", "RSASSA-PKCS1-v1_5", "RSA-PSS"];
  const HASHES = { "SHA-1": [160, 512], "SHA-256": [256, 512], "SHA-384": [384, 1024], "SHA-512": [512, 1024] };
  const USAGES = {
    HMAC: { secret: ["sign", "verify"] },
    "AES-GCM": { secret: ["encrypt", "decrypt", "wrapKey", "unwrapKey"] },
    PBKDF2: { secret: ["deriveKey", "deriveBits"] },
    HKDF: { secret: ["deriveKey", "deriveBits"] },
    ECDSA: { private: ["sign"], public: ["verify"] },
    Ed25519: { private: ["sign"], public: ["verify"] },
    "RSASSA-PKCS1-v1_5": { public: ["verify"] },
    "RSA-PSS": { public: ["verify"] },
  };
  const ALL = ["encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"];

  /** An algorithm as an object with its name as the standard writes it. */
  function normal(algorithm, names = NAMES) {
    const given = typeof algorithm === "string" ? { name: algorithm } : algorithm;
    if (given === null || typeof given !== "object" || given.name === undefined) throw new TypeError("an algorithm has a name");
    const wanted = String(given.name).toUpperCase(), name = names.find((known) => known.toUpperCase() === wanted);
    if (name === undefined) throw fail("NotSupportedError", "Unrecognized algorithm name");
    return { ...given, name };
  }
  function hashOf(algorithm) {
    if (algorithm.hash === undefined) throw new TypeError("the algorithm needs a hash");
    return normal(algorithm.hash, Object.keys(HASHES)).name;
  }
  function usagesOf(list, allowed) {
    const usages = [...list].map(String);
    for (const usage of usages) {
      if (!ALL.includes(usage)) throw new TypeError(`'${usage}' is not a usage of keys`);
      if (!allowed.includes(usage)) throw fail("SyntaxError", "Unsupported key usage");
    }
    return ALL.filter((usage) => usages.includes(usage));
  }
  function key(type, extractable, algorithm, usages, given) {
    const allowed = USAGES[algorithm.name][type];
    if (allowed === undefined) throw fail("NotSupportedError", `${type} keys of ${algorithm.name} are not supported`);
    const kept = usagesOf(usages, allowed);
    if (type !== "public" && !kept.length) throw fail("SyntaxError", "Usages cannot be empty when importing or generating a secret or private key.");
    return new CryptoKey(TOKEN, type, !!extractable, algorithm, kept, given);
  }
  function use(algorithm, given, usage) {
    if (!(given instanceof CryptoKey)) throw new TypeError("this needs a CryptoKey");
    if (given.algorithm.name !== algorithm.name) throw fail("InvalidAccessError", "Key algorithm mismatch");
    if (!given.usages.includes(usage)) throw fail("InvalidAccessError", `Unable to use this key to ${usage}`);
    return material(given);
  }

  function curveOf(algorithm) {
    if (algorithm.name === "Ed25519") return "Ed25519";
    if (algorithm.namedCurve === undefined) throw new TypeError("ECDSA needs a namedCurve");
    if (SIZE[algorithm.namedCurve] === undefined) throw fail("NotSupportedError", "Unrecognized namedCurve");
    return algorithm.namedCurve;
  }
  function curveAlgorithm(name, curve) { return name === "Ed25519" ? { name } : { name, namedCurve: curve }; }
  function checkPoint(curve, point) {
    const size = curve === "Ed25519" ? 32 : 1 + 2 * SIZE[curve];
    if (point?.length !== size || (curve !== "Ed25519" && point[0] !== 4)) throw malformed();
    return point;
  }
  function pairOf(algorithm, curve, extractable, usages, secret, point) {
    checkPoint(curve, point);
    if (secret.length !== SIZE[curve] || !native.isPair(curve, secret, point)) throw malformed();
    return key("private", extractable, curveAlgorithm(algorithm.name, curve), usages, { curve, secret, point });
  }

  function importCurve(format, data, algorithm, extractable, usages) {
    const curve = curveOf(algorithm);
    const publicKey = (point) => key("public", extractable, curveAlgorithm(algorithm.name, curve), usages, { curve, point: checkPoint(curve, point) });
    switch (format) {
      case "raw": return publicKey(copy(data));
      case "spki": return publicKey(fromSpki(curve, copy(data)));
      case "pkcs8": return pairOf(algorithm, curve, extractable, usages, ...fromPkcs8(curve, copy(data)));
      case "jwk": {
        if (data === null || typeof data !== "object") throw new TypeError("a JWK is an object");
        if (data.kty !== (curve === "Ed25519" ? "OKP" : "EC") || data.crv !== curve) throw malformed();
        checkJwk(data, extractable, usages);
        const x = base64url.decode(data.x);
        const point = curve === "Ed25519" ? x : joined([bytes(4), x, base64url.decode(data.y)]);
        if (data.d === undefined) return publicKey(point);
        return pairOf(algorithm, curve, extractable, usages, base64url.decode(data.d), point);
      }
      default: throw fail("NotSupportedError", `Unable to import ${algorithm.name} key with format ${format}`);
    }
  }
  function checkJwk(data, extractable, usages) {
    if (data.ext === false && extractable) throw fail("DataError", "Invalid JWK \"ext\" Parameter");
    if (data.key_ops !== undefined && ![...usages].every((usage) => data.key_ops.includes(usage))) {
      throw fail("DataError", "Invalid JWK \"key_ops\" Parameter");
    }
  }

  const trimmed = (number) => number.slice(number.findIndex((byte) => byte !== 0));
  function importRsa(format, data, algorithm, extractable, usages) {
    const hash = hashOf(algorithm);
    let modulus, exponent;
    if (format === "spki") {
      const [[, kind], [tag, bits]] = elements(inside(0x30, copy(data)));
      if (!same(kind.subarray(0, OID.rsa.length), OID.rsa) || tag !== 3) throw malformed();
      [[, modulus], [, exponent]] = elements(inside(0x30, bits.subarray(1)));
    } else if (format === "jwk") {
      if (data?.kty !== "RSA") throw malformed();
      if (data.d !== undefined) throw fail("NotSupportedError", "private RSA keys are not supported");
      checkJwk(data, extractable, usages);
      [modulus, exponent] = [base64url.decode(data.n), base64url.decode(data.e)];
    } else throw fail("NotSupportedError", `Unable to import ${algorithm.name} key with format ${format}`);
    modulus = trimmed(modulus.slice());
    exponent = trimmed(exponent.slice());
    const details = { name: algorithm.name, modulusLength: modulus.length * 8, publicExponent: exponent, hash: { name: hash } };
    return key("public", extractable, details, usages, { modulus, exponent });
  }

  function importSecret(format, data, algorithm, extractable, usages) {
    let secret;
    if (format === "raw") secret = copy(data);
    else if (format === "jwk" && (algorithm.name === "HMAC" || algorithm.name === "AES-GCM")) {
      if (data?.kty !== "oct") throw malformed();
      checkJwk(data, extractable, usages);
      secret = base64url.decode(data.k);
    } else throw fail("NotSupportedError", `Unable to import ${algorithm.name} key with format ${format}`);
    return secretKey(algorithm, secret, extractable, usages);
  }
  function secretKey(algorithm, secret, extractable, usages) {
    switch (algorithm.name) {
      case "HMAC": {
        if (!secret.length) throw fail("DataError", "Zero-length key is not supported");
        return key("secret", extractable, { name: "HMAC", hash: { name: hashOf(algorithm) }, length: secret.length * 8 }, usages, { secret });
      }
      case "AES-GCM": {
        if (![16, 24, 32].includes(secret.length)) throw fail("DataError", "Invalid key length");
        if (secret.length === 24) throw fail("NotSupportedError", "AES-GCM keys of 192 bits are not supported");
        return key("secret", extractable, { name: "AES-GCM", length: secret.length * 8 }, usages, { secret });
      }
      default: {
        if (extractable) throw fail("SyntaxError", `${algorithm.name} keys are not extractable`);
        return key("secret", false, { name: algorithm.name }, usages, { secret });
      }
    }
  }

  function gcm(algorithm) {
    const iv = copy(algorithm.iv ?? fail(), "iv");
    if (iv.length !== 12) throw fail("NotSupportedError", "AES-GCM takes an iv of 12 bytes here");
    if (algorithm.tagLength !== undefined && algorithm.tagLength !== 128) throw fail("NotSupportedError", "AES-GCM makes tags of 128 bits here");
    return [iv, algorithm.additionalData === undefined ? new Uint8Array(0) : copy(algorithm.additionalData)];
  }
  const CURVE_HASH = { "P-256": "SHA-256", "P-384": "SHA-384" };
  function verification(algorithm, given) {
    if (algorithm.name === "Ed25519") return "Ed25519";
    if (algorithm.name === "ECDSA") {
      const hash = hashOf(algorithm), { curve } = given;
      if (CURVE_HASH[curve] !== hash) throw fail("NotSupportedError", `ECDSA with ${curve} goes with ${CURVE_HASH[curve]} here`);
      return `${curve} ${hash}`;
    }
    return undefined;
  }
  function derived(algorithm, given, length) {
    if (length === null || length === undefined || length % 8) throw fail("OperationError", "length must be a multiple of 8");
    const secret = given.secret, hash = hashOf(algorithm), count = length / 8;
    const made = algorithm.name === "HKDF"
      ? native.hkdf(hash, secret, copy(algorithm.salt, "salt"), copy(algorithm.info, "info"), count)
      : native.pbkdf2(hash, secret, copy(algorithm.salt, "salt"), Number(algorithm.iterations), count);
    if (made === undefined) throw fail("OperationError", "The parameters are out of range");
    return made;
  }

  /** Methods answer promises, and what is wrong with their arguments too. */
  const later = (methods) => {
    for (const name of Object.keys(methods)) {
      const run = methods[name];
      methods[name] = { [name]: async function (...args) { return run(...args); } }[name];
    }
    return methods;
  };

  class SubtleCrypto {
    constructor(token) {
      if (token !== TOKEN) throw new TypeError("Illegal constructor");
    }
  }
  Object.assign(SubtleCrypto.prototype, later({
    digest(algorithm, data) {
      const { name } = normal(algorithm, Object.keys(HASHES));
      return native.digest(name, copy(data)).buffer;
    },
    generateKey(algorithm, extractable, usages) {
      algorithm = normal(algorithm);
      const { name } = algorithm;
      if (name === "HMAC") {
        const length = algorithm.length ?? HASHES[hashOf(algorithm)][1];
        if (!length) throw fail("OperationError", "Zero-length key is not supported");
        const secret = native.random(Math.ceil(length / 8));
        return key("secret", extractable, { name, length, hash: { name: hashOf(algorithm) } }, usages, { secret });
      }
      if (name === "AES-GCM") {
        if (![128, 192, 256].includes(algorithm.length)) throw fail("OperationError", "Invalid key length");
        return secretKey(algorithm, native.random(algorithm.length / 8), extractable, usages);
      }
      if (name !== "ECDSA" && name !== "Ed25519") throw fail("NotSupportedError", `${name} keys are not generated here`);
      const curve = curveOf(algorithm);
      usages = usagesOf(usages, ["sign", "verify"]);
      const [secret, point] = fromPkcs8Generated(curve, native.keyPair(curve));
      const details = curveAlgorithm(name, curve);
      return {
        publicKey: new CryptoKey(TOKEN, "public", true, details, usages.filter((usage) => usage === "verify"), { curve, point }),
        privateKey: key("private", extractable, details, usages.filter((usage) => usage === "sign"), { curve, secret, point }),
      };
    },
    importKey(format, data, algorithm, extractable, usages) {
      algorithm = normal(algorithm);
      if (!["raw", "spki", "pkcs8", "jwk"].includes(format)) throw new TypeError(`'${format}' is not a key format`);
      switch (algorithm.name) {
        case "ECDSA": case "Ed25519": return importCurve(format, data, algorithm, extractable, usages);
        case "RSASSA-PKCS1-v1_5": case "RSA-PSS": return importRsa(format, data, algorithm, extractable, usages);
        default: return importSecret(format, data, algorithm, extractable, usages);
      }
    },
    exportKey(format, given) {
      if (!(given instanceof CryptoKey)) throw new TypeError("exportKey needs a CryptoKey");
      if (!given.extractable) throw fail("InvalidAccessError", "key is not extractable");
      const { secret, curve, point, modulus, exponent } = material(given), { name } = given.algorithm;
      const jwk = (fields) => ({ key_ops: given.usages, ext: true, ...fields });
      if (modulus) {
        const number = (value) => der(2, value[0] & 0x80 ? joined([bytes(0), value]) : value);
        if (format === "spki") return der(0x30, der(0x30, OID.rsa, bytes(5, 0)), der(3, bytes(0), der(0x30, number(modulus), number(exponent)))).buffer;
        if (format === "jwk") {
          const alg = { "RSASSA-PKCS1-v1_5": "RS", "RSA-PSS": "PS" }[name] + given.algorithm.hash.name.slice(4);
          return jwk({ kty: "RSA", alg, n: base64url.encode(modulus), e: base64url.encode(exponent) });
        }
      } else if (curve) {
        if (format === "raw" && given.type === "public") return point.slice().buffer;
        if (format === "spki" && given.type === "public") return spki(curve, point).buffer;
        if (format === "pkcs8" && given.type === "private") return pkcs8(curve, secret, point).buffer;
        if (format === "jwk") {
          const size = SIZE[curve];
          const fields = curve === "Ed25519" ? { kty: "OKP", crv: curve, x: base64url.encode(point) }
            : { kty: "EC", crv: curve, x: base64url.encode(point.slice(1, 1 + size)), y: base64url.encode(point.slice(1 + size)) };
          return jwk(given.type === "private" ? { ...fields, d: base64url.encode(secret) } : fields);
        }
      } else {
        if (format === "raw") return secret.slice().buffer;
        if (format === "jwk") {
          const alg = name === "HMAC" ? "HS" + given.algorithm.hash.name.slice(4) : `A${given.algorithm.length}GCM`;
          return jwk({ kty: "oct", k: base64url.encode(secret), alg });
        }
      }
      throw fail("NotSupportedError", `Unable to export ${name} ${given.type} key using ${format} format`);
    },
    sign(algorithm, given, data) {
      algorithm = normal(algorithm);
      data = copy(data);
      const known = use(algorithm, given, "sign");
      if (algorithm.name === "HMAC") return native.hmac(given.algorithm.hash.name, known.secret, data).buffer;
      verification(algorithm, known);
      return native.sign(known.curve, known.secret, known.point, data).buffer;
    },
    verify(algorithm, given, signature, data) {
      algorithm = normal(algorithm);
      [signature, data] = [copy(signature, "signature"), copy(data)];
      const known = use(algorithm, given, "verify");
      if (algorithm.name === "HMAC") return native.hmacVerify(given.algorithm.hash.name, known.secret, signature, data);
      if (known.modulus) {
        if (algorithm.name === "RSA-PSS" && algorithm.saltLength !== HASHES[given.algorithm.hash.name][0] / 8) {
          throw fail("NotSupportedError", "RSA-PSS takes a salt as long as the hash here");
        }
        return native.verify(`${algorithm.name} ${given.algorithm.hash.name}`, [known.modulus, known.exponent], signature, data);
      }
      return native.verify(verification(algorithm, known), [known.point, bytes()], signature, data);
    },
    encrypt(algorithm, given, data) {
      algorithm = normal(algorithm);
      data = copy(data);
      const { secret } = use(algorithm, given, "encrypt");
      return native.seal(secret, ...gcm(algorithm), data).buffer;
    },
    decrypt(algorithm, given, data) {
      algorithm = normal(algorithm);
      data = copy(data);
      const { secret } = use(algorithm, given, "decrypt");
      const opened = native.open(secret, ...gcm(algorithm), data);
      if (opened === undefined) throw fail("OperationError", "The operation failed for an operation-specific reason");
      return opened.buffer;
    },
    deriveBits(algorithm, given, length) {
      algorithm = normal(algorithm);
      return derived(algorithm, use(algorithm, given, "deriveBits"), length).buffer;
    },
    deriveKey(algorithm, given, wanted, extractable, usages) {
      algorithm = normal(algorithm);
      wanted = normal(wanted);
      const length = wanted.name === "HMAC" ? wanted.length ?? HASHES[hashOf(wanted)][1] : wanted.name === "AES-GCM" ? wanted.length : undefined;
      if (length === undefined) throw fail("NotSupportedError", `${wanted.name} keys are not derived here`);
      return secretKey(wanted, derived(algorithm, use(algorithm, given, "deriveKey"), length), extractable, usages);
    },
    wrapKey() { throw fail("NotSupportedError", "wrapKey is not supported"); },
    unwrapKey() { throw fail("NotSupportedError", "unwrapKey is not supported"); },
  }));

  /** What the generator writes: its public key may stand in either of two places. */
  function fromPkcs8Generated(curve, data) {
    if (curve !== "Ed25519") return fromPkcs8(curve, data);
    const secret = inside(4, elements(inside(0x30, data))[2][1]).slice();
    return [secret, native.publicOf(secret)];
  }

  const subtle = new SubtleCrypto(TOKEN);
  class Crypto {
    constructor(token) {
      if (token !== TOKEN) throw new TypeError("Illegal constructor");
    }
    get subtle() { return subtle; }
    getRandomValues(array) {
      if (!ArrayBuffer.isView(array) || array instanceof DataView || array instanceof Float32Array || array instanceof Float64Array) {
        throw fail("TypeMismatchError", "The data argument must be an integer-type TypedArray");
      }
      if (array.byteLength > 65536) throw fail("QuotaExceededError", `The requested length exceeds 65,536 bytes`);
      bytesOf(array).set(native.random(array.byteLength));
      return array;
    }
    randomUUID() {
      const random = native.random(16);
      random[6] = (random[6] & 0x0f) | 0x40;
      random[8] = (random[8] & 0x3f) | 0x80;
      const hex = random.toHex();
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    }
  }
  interfaces({ Crypto, CryptoKey, SubtleCrypto });
  return { crypto: new Crypto(TOKEN), Crypto, CryptoKey, SubtleCrypto };
}
