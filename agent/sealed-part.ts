/**
 * A part whose records are secrets. They stand in the journal sealed (XChaCha20-Poly1305) under a key that HKDF-SHA256 gives for
 * this part from the site's sealing seed: whoever has the journal, or a copy of it, and not that key learns their lengths.
 */
import type { Entropy } from '../drivers/ports.ts'
import { concat, utf8 } from '../protocol/bytes.ts'
import { xchacha20poly1305 } from '../protocol/crypto/ciphers.ts'
import { hkdfSha256 } from '../protocol/crypto/hash.ts'
import { fail, ok, type Result } from '../protocol/result.ts'
import type { Message } from '../protocol/trade/message.ts'
import type { Part, PartOptions } from './roles/part.ts'

/** Random: 2^80 records before two are expected to collide. */
const NONCE_BYTES = 24

export interface RecordSeal {
  seal(record: Uint8Array): Uint8Array
  open(sealed: Uint8Array): Result<Uint8Array>
}

export function createRecordSeal(seed: Uint8Array, part: string, entropy: Entropy): RecordSeal {
  const key = hkdfSha256(seed, utf8('tieline/sealed-record/1'), utf8(part), 32)
  return {
    seal(record) {
      const nonce = entropy.bytes(NONCE_BYTES)
      return concat(nonce, xchacha20poly1305(key, nonce).encrypt(record))
    },
    open(sealed) {
      try {
        return ok(xchacha20poly1305(key, sealed.subarray(0, NONCE_BYTES)).decrypt(sealed.subarray(NONCE_BYTES)))
      } catch {
        // noble says by throwing that the tag does not match, or that there is none.
        return fail({ code: 'record.sealed', part, hint: 'its sealing key is another one; put the right one back' })
      }
    },
  }
}

/**
 * A part as `create` makes it, with its records sealed. One whose records cannot be opened does not start: it would write others
 * over them.
 */
export function sealPart<T extends Part>(
  name: string,
  options: PartOptions,
  seed: Uint8Array,
  create: (options: PartOptions) => T,
): T {
  const { seal, open } = createRecordSeal(seed, name, options.entropy)
  const part = create({ ...options, record: bytes => options.record(seal(bytes)) })
  let shut = false
  return Object.assign({}, part, {
    restore(records: Iterable<Uint8Array>) {
      const opened: Uint8Array[] = []
      for (const sealed of records) {
        const record = open(sealed)
        if (record.ok) opened.push(record.value)
        else {
          shut = true
          options.health(`${name}.records`, record.fault)
        }
      }
      if (!shut) part.restore?.(opened)
    },
    start() {
      if (!shut) part.start()
    },
    onMessage(peer: string, message: Message) {
      if (!shut) part.onMessage?.(peer, message)
    },
  })
}
