/** What every Signer must do, wherever its key lives. */
import { createPublicKey, verify } from 'node:crypto'
import { inspect } from 'node:util'
import type { Signer } from '../../drivers/ports.ts'
import { concat, hex, toHex } from '../../protocol/bytes.ts'
import { type Alg, hasLowS, keyFault, nobleVerifier } from '../../protocol/crypto/verify.ts'
import type { KeyTrust } from '../../protocol/identity/key.ts'
import { must } from '../../protocol/result.ts'
import { assert, type SkipReason, type Suite } from '../harness.ts'

export interface SignerUnderTest {
  readonly signer: Signer
  /** What must be found nowhere in what the signer shows: seeds, passphrases, PINs, authorization values. */
  readonly secrets: readonly (Uint8Array | string)[]
  /** Takes the store away, as when a token is pulled out; none for a key that is in memory once it is opened. */
  lose?(): Promise<void>
  end(): Promise<void>
}

export interface SignerTraits {
  readonly alg: Alg
  readonly trust: KeyTrust
  readonly skip?: SkipReason | undefined
}

/** SubjectPublicKeyInfo heads (RFC 8410 section 4; RFC 5480 section 2, compressed P-256 point). */
const SPKI: Readonly<Record<Alg, Uint8Array>> = {
  EdDSA: hex('302a 3005 0603 2b6570 0321 00'),
  ES256: hex('3039 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0322 00'),
}

function opensslAccepts({ alg, publicKey }: Signer, message: Uint8Array, signature: Uint8Array): boolean {
  const der = Buffer.from(concat(SPKI[alg], publicKey))
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
  return alg === 'EdDSA'
    ? verify(null, message, key, signature)
    : verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

const MESSAGES = [0, 1, 31, 32, 33, 200, 5000].map(length =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 0xff),
)

export function signerCases(
  t: Suite,
  name: string,
  { alg, trust, skip }: SignerTraits,
  make: () => Promise<SignerUnderTest>,
): void {
  const add = (title: string, body: (under: SignerUnderTest) => Promise<void>) =>
    t.skipIf(skip, `${name}: ${title}`, async () => {
      const under = await make()
      try {
        await body(under)
      } finally {
        await under.end()
      }
    })

  add('it says what it is, by a key that may be registered', async ({ signer }) => {
    assert.is(signer.alg, alg)
    assert.is(signer.trust, trust)
    assert.is(signer.publicKey.length, alg === 'EdDSA' ? 32 : 33)
    assert.is(keyFault(signer.alg, signer.publicKey), undefined)
  })

  add('its signatures are 64 bytes that OpenSSL and the pure verifier accept, for their message alone', async under => {
    for (const message of MESSAGES) {
      const signature = must(await under.signer.sign(message))
      assert.is(signature.length, 64)
      assert.ok(opensslAccepts(under.signer, message, signature), `openssl, ${message.length} bytes`)
      assert.ok(nobleVerifier.verify(alg, under.signer.publicKey, message, signature), `noble, ${message.length} bytes`)
      const other = concat(message, Uint8Array.of(0))
      assert.not.ok(opensslAccepts(under.signer, other, signature))
    }
  })

  if (alg === 'ES256') {
    add('of the two equal signatures it always gives the one with the lower s', async ({ signer }) => {
      // By chance one in two is low: forty in a row are so once in 2^40.
      for (let n = 0; n < 40; n++) assert.ok(hasLowS(must(await signer.sign(Uint8Array.of(n)))))
    })
  }

  add('what is asked at once is answered each by its own signature', async ({ signer }) => {
    const messages = Array.from({ length: 8 }, (_, n) => Uint8Array.of(n, n))
    const answers = await Promise.all(messages.map(message => signer.sign(message)))
    for (const [n, answer] of answers.entries()) assert.ok(opensslAccepts(signer, messages[n]!, must(answer)), `${n}`)
  })

  add('no secret stands in what it shows, however deep one looks', async ({ signer, secrets }) => {
    const shown = inspect(signer, {
      depth: 10,
      showHidden: true,
      maxArrayLength: 1e4,
      maxStringLength: 1e5,
      getters: true,
    })
    const json = JSON.stringify(signer)
    for (const secret of secrets) {
      const forms =
        typeof secret === 'string'
          ? [secret]
          : [
              toHex(secret),
              Buffer.from(secret).toString('base64'),
              Array.from(secret).join(','),
              Array.from(secret).join(', '),
            ]
      for (const form of forms) {
        assert.not.ok(shown.replace(/\s+/g, ' ').includes(form))
        assert.not.ok(json.includes(form))
      }
    }
  })

  add('once its store is gone it answers with a fault that shows no secret', async ({ signer, secrets, lose }) => {
    if (lose === undefined) return
    must(await signer.sign(Uint8Array.of(1)))
    await lose()
    for (let n = 0; n < 2; n++) {
      const answer = await signer.sign(Uint8Array.of(2))
      assert.not.ok(answer.ok)
      if (answer.ok) continue
      assert.match(answer.fault.code, /^[a-z0-9]+\.[a-z0-9-]+$/)
      const shown = inspect(answer.fault, { depth: 10 })
      for (const secret of secrets) assert.not.ok(shown.includes(typeof secret === 'string' ? secret : toHex(secret)))
    }
  })
}
