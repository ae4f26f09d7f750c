/** The keys that sealed files are wrapped with, while files of a passphrase are opened or made together. */
import { scrypt } from 'node:crypto'
import { toHex } from '../../protocol/bytes.ts'
import type { Entropy } from '../ports.ts'

/** OWASP's scrypt setting for 32 MiB: what fits beside the agent on a board of 512 MB. */
const COST = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 << 20 } as const
const KEY_BYTES = 32
export const SALT_BYTES = 16

/** Lives while files are opened, no longer: `wipe` ends it. */
export interface WrappingKeys {
  /** Derived once for each passphrase and salt. The key is wiped with the others; nobody else wipes it. */
  keyOf(passphrase: string, salt: Uint8Array): Promise<Uint8Array>
  /** A file of this salt was opened: new ones take the same. */
  opened(salt: Uint8Array): void
  /** Of every file that is made, so that one derivation opens them all. */
  saltOfNew(entropy: Entropy): Uint8Array
  /** Zeros in every key; one that is still being derived is wiped when it is there. */
  wipe(): void
}

export type DeriveKey = (passphrase: string, salt: Uint8Array) => Promise<Uint8Array>

export function createWrappingKeys(derive: DeriveKey = deriveKey): WrappingKeys {
  const keys = new Map<string, Promise<Uint8Array>>()
  let saltOfNew: Uint8Array | undefined
  let wiped = false
  return {
    keyOf(passphrase, salt) {
      if (wiped) throw new Error('wrapping keys are asked for after they were wiped')
      const name = `${toHex(salt)} ${passphrase}`
      const key = keys.get(name) ?? derive(passphrase, salt)
      keys.set(name, key)
      return key
    },
    opened(salt) {
      saltOfNew ??= salt
    },
    saltOfNew(entropy) {
      saltOfNew ??= entropy.bytes(SALT_BYTES)
      return saltOfNew
    },
    wipe() {
      wiped = true
      for (const key of keys.values()) {
        // Whoever waits for one that fails hears of it.
        void key.then(bytes => bytes.fill(0)).catch(() => {})
      }
      keys.clear()
    },
  }
}

/** In the thread pool: it would stop the control loop for half a second. */
const deriveKey: DeriveKey = (passphrase, salt) =>
  new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFKC'), salt, KEY_BYTES, COST, (error, key) =>
      error === null ? resolve(key) : reject(error),
    )
  })
