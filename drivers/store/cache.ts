/**
 * Cached state: what may be lost without harm and is only worth having back after a restart, such as today's curves. The
 * one file that knows cbor-x, which is fast and compact but neither deterministic nor strict: nothing here is signed,
 * hashed for others or settled (protocol/cbor.ts is for that).
 *
 *     "TLC1"  8 bytes of SHA-256 of the rest  CBOR
 */
import { Decoder, Encoder } from 'cbor-x'
import { concat, equalBytes, utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Result } from '../../protocol/result.ts'
import type { Disk } from '../ports.ts'

export interface Cache<T> {
  /** What was saved last, or undefined when there is nothing, it is damaged, or it is not what `accept` knows. */
  load(): Promise<T | undefined>
  save(value: T): Promise<Result<void>>
}

/** Bit rot and files of other programs are told by these, not by what the decoder makes of them. */
const MAGIC = utf8('TLC1')
const CHECK_BYTES = 8
/** A day of curves of a street is a tenth of this. */
const SIZE_MAX = 4 * 1024 * 1024

/** Plain maps and arrays both ways; cbor-x's own record extension would tie the file to its version. */
const OPTIONS = { useRecords: false, mapsAsObjects: true } as const

export function createCache<T>(disk: Disk, name: string, accept: (value: unknown) => T | undefined): Cache<T> {
  const encoder = new Encoder(OPTIONS)
  const decoder = new Decoder(OPTIONS)
  const check = (body: Uint8Array) => sha256(body).subarray(0, CHECK_BYTES)
  return {
    async load() {
      const read = await disk.read(name)
      if (!read.ok || read.value.length > SIZE_MAX) return undefined
      const magic = read.value.subarray(0, MAGIC.length)
      const said = read.value.subarray(MAGIC.length, MAGIC.length + CHECK_BYTES)
      const body = read.value.subarray(MAGIC.length + CHECK_BYTES)
      if (!equalBytes(magic, MAGIC) || !equalBytes(said, check(body))) return undefined
      try {
        return accept(decoder.decode(body))
      } catch {
        // An older program's file: as good as none.
        return undefined
      }
    },
    save(value) {
      const body = new Uint8Array(encoder.encode(value))
      return disk.replace(name, concat(MAGIC, check(body), body))
    },
  }
}
