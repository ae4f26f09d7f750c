/** One session with one token: logged in, its keys found or made, messages signed. Calls are made one after another. */
import { concat, equalBytes, fromUtf8, hex, utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { type Alg, withLowS } from '../../../protocol/crypto/verify.ts'
import type { TokenKeyAttributes, TokenName } from '../../../protocol/identity/attestation.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import {
  CKA,
  CKF_LOGIN_REQUIRED,
  CKF_RW_SESSION,
  CKF_SERIAL_SESSION,
  CKF_TOKEN_INITIALIZED,
  CKF_USER_PIN_COUNT_LOW,
  CKF_USER_PIN_FINAL_TRY,
  CKF_USER_PIN_LOCKED,
  CKK_EC,
  CKK_EC_EDWARDS,
  CKM_EC_EDWARDS_KEY_PAIR_GEN,
  CKM_EC_KEY_PAIR_GEN,
  CKM_ECDSA,
  CKM_EDDSA,
  CKO_PRIVATE_KEY,
  CKO_PUBLIC_KEY,
  CKR_OK,
  CKR_PIN_INCORRECT,
  CKR_PIN_LOCKED,
  CKR_USER_ALREADY_LOGGED_IN,
  CKU_USER,
  isLost,
  nameOf,
} from './codes.ts'
import type { Memory, ModuleFault, Pkcs11Module } from './module.ts'

export type TokenFault =
  | ModuleFault
  /** The token is gone, or has forgotten us: opening it anew may help. */
  | { readonly code: 'keys.token-lost'; readonly token: string; readonly call: string; readonly rv: string }
  | { readonly code: 'keys.token-failed'; readonly token: string; readonly call: string; readonly rv: string }
  | { readonly code: 'keys.no-token'; readonly token: string; readonly found: readonly string[]; readonly hint: string }
  | { readonly code: 'keys.two-tokens'; readonly token: string; readonly slots: readonly string[] }
  | { readonly code: 'keys.pin-wrong' | 'keys.pin-locked'; readonly token: string; readonly hint: string }
  | { readonly code: 'keys.pin-doubtful'; readonly token: string; readonly left: string; readonly hint: string }
  | { readonly code: 'keys.no-key'; readonly token: string; readonly key: string; readonly hint: string }
  | { readonly code: 'keys.two-keys'; readonly token: string; readonly key: string; readonly found: number }
  | { readonly code: 'keys.exists'; readonly token: string; readonly key: string; readonly hint: string }
  | { readonly code: 'keys.unusable'; readonly token: string; readonly key: string; readonly why: string }

export interface TokenKey {
  readonly handle: number
  readonly alg: Alg
  /** Raw: 32 bytes Ed25519, or a compressed P-256 point of 33. */
  readonly publicKey: Uint8Array
  readonly attributes: TokenKeyAttributes
}

export interface TokenSession {
  readonly name: TokenName
  /** The one private key of that label, with its public half. */
  find(label: string): Promise<Result<TokenKey, TokenFault>>
  /** Makes a pair of that label inside the token; `keys.exists` where there is one. */
  generate(label: string, alg: Alg): Promise<Result<void, TokenFault>>
  /** 64 bytes; ES256 as r || s with the lower s. */
  sign(key: TokenKey, message: Uint8Array): Promise<Result<Uint8Array, TokenFault>>
  close(): Promise<void>
}

/** DER of the curves' names (RFC 5480 section 2.1.1.1; RFC 8410 section 3). */
const P256_NAME = hex('0608 2a8648ce3d030107')
const ED25519_NAME = hex('0603 2b6570')
/** The other name that v3.0 allows: the printable string edwards25519. */
const ED25519_WORD = concat(hex('130c'), utf8('edwards25519'))
const CURVES: Readonly<Record<Alg, { readonly name: Uint8Array; readonly generate: number; readonly sign: number }>> = {
  ES256: { name: P256_NAME, generate: CKM_EC_KEY_PAIR_GEN, sign: CKM_ECDSA },
  EdDSA: { name: ED25519_NAME, generate: CKM_EC_EDWARDS_KEY_PAIR_GEN, sign: CKM_EDDSA },
}

const SIGNATURE_BYTES = 64
/** More tokens or keys of one label than anybody has. */
const MANY = 64
/** CK_TOKEN_INFO: four texts, the flags, ten counts, two versions, a time. */
const TOKEN_INFO_BYTES = 256
const FLAGS_AT = 96
/** An uncompressed P-256 point in a DER string is 67 bytes, a curve's name at most 14. */
const ATTRIBUTE_BYTES = 128

type Value = boolean | number | Uint8Array

export interface TokenOptions {
  readonly module: Pkcs11Module
  /** Its label. */
  readonly token: string
  readonly pin: string
  /**
   * Gives the PIN even where the token says that a wrong one was given since the last good one. Only when a person asks:
   * a service that starts again and again would lock the token.
   */
  readonly insist?: boolean
}

export async function openToken(options: TokenOptions): Promise<Result<TokenSession, TokenFault>> {
  const { module, token, pin, insist = false } = options
  const { wordBytes } = module

  /** One round of calls on memory that is wiped afterwards. */
  async function round<T>(
    work: (memory: Memory) => Promise<Result<T, TokenFault>>,
    more = 0,
  ): Promise<Result<T, TokenFault>> {
    const memory = module.memory(more)
    try {
      return await work(memory)
    } finally {
      memory.wipe()
    }
  }

  const refuse = (call: string, rv: number) =>
    fail<TokenFault>({ code: isLost(rv) ? 'keys.token-lost' : 'keys.token-failed', token, call, rv: nameOf(rv) })

  async function call(...args: Parameters<Pkcs11Module['call']>): Promise<Result<void, TokenFault>> {
    const rv = await module.call(...args)
    return rv === CKR_OK ? ok(undefined) : refuse(args[0], rv)
  }

  interface Found {
    readonly slot: number
    readonly flags: number
    readonly name: TokenName
  }

  const findSlot = () =>
    round<Found>(async memory => {
      const count = memory.words(0)
      // Without a list first: this is what has a module look for tokens anew.
      const counted = await call('getSlotList', 1, 0, count.address)
      if (!counted.ok) return counted
      const most = memory.words(MANY)
      const slots = memory.room(MANY * wordBytes)
      const listed = await call('getSlotList', 1, slots.address, most.address)
      if (!listed.ok) return listed
      const labels: string[] = []
      const found: Found[] = []
      for (let n = 0; n < Math.min(MANY, most.word()); n++) {
        const info = await readToken(slots.word(n))
        // A token that is pulled out meanwhile is not the one that is looked for.
        if (!info.ok) continue
        if (info.value.name.label !== '') labels.push(info.value.name.label)
        if (info.value.name.label === token) found.push(info.value)
      }
      if (found.length > 1)
        return fail({ code: 'keys.two-tokens', token, slots: found.map(({ slot }) => String(slot)) })
      const [only] = found
      const hint = 'plug it in, or name another'
      return only === undefined ? fail({ code: 'keys.no-token', token, found: labels, hint }) : ok(only)
    })

  const readToken = (slot: number) =>
    round<Found>(async memory => {
      const info = memory.room(TOKEN_INFO_BYTES)
      const read = await call('getTokenInfo', slot, info.address)
      if (!read.ok) return read
      const text = (from: number, bytes: number) => (fromUtf8(info.bytes.subarray(from, from + bytes)) ?? '').trimEnd()
      const flags = info.word(FLAGS_AT / wordBytes)
      const label = (flags & CKF_TOKEN_INITIALIZED) === 0 ? '' : text(0, 32)
      return ok({
        slot,
        flags,
        name: { label, manufacturer: text(32, 32), model: text(64, 16), serial: text(80, 16) },
      })
    })

  async function login(session: number, flags: number): Promise<Result<void, TokenFault>> {
    if ((flags & CKF_LOGIN_REQUIRED) === 0) return ok(undefined)
    const hint = 'a person has to unlock it with the security officer PIN'
    if ((flags & CKF_USER_PIN_LOCKED) !== 0) return fail({ code: 'keys.pin-locked', token, hint })
    if ((flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY)) !== 0 && !insist) {
      const left = (flags & CKF_USER_PIN_FINAL_TRY) !== 0 ? 'one try' : 'fewer tries than usual'
      const hint = 'a wrong PIN was given before; check the file, then `tieline key show --insist`'
      return fail({ code: 'keys.pin-doubtful', token, left, hint })
    }
    const rv = await round<number>(async memory => {
      const bytes = utf8(pin)
      const at = memory.put(bytes)
      const answer = await module.call('login', session, CKU_USER, at, bytes.length)
      bytes.fill(0)
      return ok(answer)
    })
    if (!rv.ok) return rv
    switch (rv.value) {
      case CKR_OK:
      case CKR_USER_ALREADY_LOGGED_IN:
        return ok(undefined)
      case CKR_PIN_INCORRECT:
        return fail({
          code: 'keys.pin-wrong',
          token,
          hint: 'correct the PIN file; not tried again, because a few wrong ones lock the token',
        })
      case CKR_PIN_LOCKED:
        return fail({ code: 'keys.pin-locked', token, hint })
      default:
        return refuse('login', rv.value)
    }
  }

  /** CK_ATTRIBUTE[]: type, address of the value, its length in bytes. */
  function template(memory: Memory, attributes: readonly (readonly [number, Value])[]) {
    const words = attributes.flatMap(([type, value]) => {
      if (typeof value === 'boolean') return [type, memory.put(Uint8Array.of(value ? 1 : 0)), 1]
      if (typeof value === 'number') return [type, memory.words(value).address, wordBytes]
      return [type, memory.put(value), value.length]
    })
    return { address: memory.words(...words).address, count: attributes.length }
  }

  const findObjects = (session: number, ...attributes: readonly (readonly [number, Value])[]) =>
    round<readonly number[]>(async memory => {
      const wanted = template(memory, attributes)
      const begun = await call('findObjectsInit', session, wanted.address, wanted.count)
      if (!begun.ok) return begun
      const handles = memory.room(MANY * wordBytes)
      const count = memory.words(0)
      const found = await call('findObjects', session, handles.address, MANY, count.address)
      const ended = await call('findObjectsFinal', session)
      if (!found.ok) return found
      if (!ended.ok) return ended
      return ok(Array.from({ length: Math.min(MANY, count.word()) }, (_, n) => handles.word(n)))
    })

  /** An attribute's bytes; undefined where the token does not tell it. */
  const attributeOf = (session: number, object: number, type: number) =>
    round<Uint8Array | undefined>(async memory => {
      const value = memory.room(ATTRIBUTE_BYTES)
      const asked = memory.words(type, value.address, ATTRIBUTE_BYTES)
      const rv = await module.call('getAttributeValue', session, object, asked.address, 1)
      if (isLost(rv)) return refuse('getAttributeValue', rv)
      const bytes = asked.word(2)
      return ok(rv === CKR_OK && bytes <= ATTRIBUTE_BYTES ? value.bytes.slice(0, bytes) : undefined)
    })

  async function booleanOf(session: number, object: number, type: number): Promise<Result<boolean | undefined>> {
    const bytes = await attributeOf(session, object, type)
    if (!bytes.ok) return bytes
    return ok(bytes.value?.length === 1 ? bytes.value[0] !== 0 : undefined)
  }

  const slot = await findSlot()
  if (!slot.ok) return slot
  const { name, flags } = slot.value
  const opened = await round<number>(async memory => {
    const handle = memory.words(0)
    const called = await call('openSession', slot.value.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, 0, 0, handle.address)
    return called.ok ? ok(handle.word()) : called
  })
  if (!opened.ok) return opened
  const session = opened.value
  const entered = await login(session, flags)
  if (!entered.ok) {
    await module.call('closeSession', session)
    return entered
  }

  /** A session does one thing at a time; whoever comes meanwhile waits. */
  let turn: Promise<unknown> = Promise.resolve()
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work)
    turn = mine.catch(() => {})
    return mine
  }

  const privateKeys = (label: string) => findObjects(session, [CKA.class, CKO_PRIVATE_KEY], [CKA.label, utf8(label)])

  async function find(label: string): Promise<Result<TokenKey, TokenFault>> {
    const unusable = (why: string) => fail<TokenFault>({ code: 'keys.unusable', token, key: label, why })
    const found = await privateKeys(label)
    if (!found.ok) return found
    const [handle] = found.value
    if (handle === undefined) {
      return fail({ code: 'keys.no-key', token, key: label, hint: 'make it with `tieline key init`' })
    }
    if (found.value.length > 1) return fail({ code: 'keys.two-keys', token, key: label, found: found.value.length })
    const id = await attributeOf(session, handle, CKA.id)
    if (!id.ok) return id
    const halves = await findObjects(
      session,
      [CKA.class, CKO_PUBLIC_KEY],
      id.value === undefined || id.value.length === 0 ? [CKA.label, utf8(label)] : [CKA.id, id.value],
    )
    if (!halves.ok) return halves
    const [half] = halves.value
    if (half === undefined || halves.value.length > 1) return unusable('its public half is not with it')
    const attributes: Record<string, boolean | undefined> = {}
    for (const each of ['sensitive', 'alwaysSensitive', 'extractable', 'neverExtractable', 'local'] as const) {
      const told = await booleanOf(session, handle, CKA[each])
      if (!told.ok) return told as Result<never, TokenFault>
      attributes[each] = told.value
    }
    const curve = await attributeOf(session, half, CKA.ecParams)
    if (!curve.ok) return curve
    const point = await attributeOf(session, half, CKA.ecPoint)
    if (!point.ok) return point
    const key = rawKey(curve.value, point.value)
    if (key === undefined) return unusable('neither P-256 nor Ed25519')
    return ok({ handle, ...key, attributes: attributes as unknown as TokenKeyAttributes })
  }

  async function generate(label: string, alg: Alg): Promise<Result<void, TokenFault>> {
    const there = await privateKeys(label)
    if (!there.ok) return there
    const hint = 'a key that is lost cannot be made again; name another'
    if (there.value.length > 0) return fail({ code: 'keys.exists', token, key: label, hint })
    const curve = CURVES[alg]
    // What ties the two halves together; any bytes do.
    const id = sha256(utf8(label)).subarray(0, 8)
    const both = [
      [CKA.keyType, alg === 'ES256' ? CKK_EC : CKK_EC_EDWARDS],
      [CKA.token, true],
      [CKA.label, utf8(label)],
      [CKA.id, id],
    ] as const
    return round(async memory => {
      const mechanism = memory.words(curve.generate, 0, 0)
      const open = template(memory, [...both, [CKA.private, false], [CKA.verify, true], [CKA.ecParams, curve.name]])
      const closed = template(memory, [
        ...both,
        [CKA.private, true],
        [CKA.sensitive, true],
        [CKA.extractable, false],
        [CKA.sign, true],
        [CKA.derive, false],
      ])
      const [first, second] = [memory.words(0), memory.words(0)]
      return call(
        'generateKeyPair',
        session,
        mechanism.address,
        open.address,
        open.count,
        closed.address,
        closed.count,
        first.address,
        second.address,
      )
    })
  }

  const sign = (key: TokenKey, message: Uint8Array) =>
    round<Uint8Array>(async memory => {
      // Few tokens hash for CKM_ECDSA; Ed25519 hashes for itself, so the message goes in whole.
      const signed = key.alg === 'ES256' ? sha256(message) : message
      const mechanism = memory.words(CURVES[key.alg].sign, 0, 0)
      const begun = await call('signInit', session, mechanism.address, key.handle)
      if (!begun.ok) return begun
      const signature = memory.room(SIGNATURE_BYTES)
      const length = memory.words(SIGNATURE_BYTES)
      const done = await call('sign', session, memory.put(signed), signed.length, signature.address, length.address)
      if (!done.ok) return done
      if (length.word() !== SIGNATURE_BYTES) {
        return fail({ code: 'keys.token-failed', token, call: 'sign', rv: `${length.word()} bytes of signature` })
      }
      const bytes = signature.bytes.slice()
      return ok(key.alg === 'ES256' ? withLowS(bytes) : bytes)
    }, message.length + 8)

  return ok({
    name,
    find: label => inTurn(() => find(label)),
    generate: (label, alg) => inTurn(() => generate(label, alg)),
    sign: (key, message) => inTurn(() => sign(key, message)),
    close: () => inTurn(async () => void (await module.call('closeSession', session))),
  })
}

/**
 * The raw key of CKA_EC_PARAMS and CKA_EC_POINT: the point in a DER string (v2.40 mechanisms, section 2.3.3), which some
 * tokens leave out. Each form is told by its length alone.
 */
function rawKey(curve: Uint8Array | undefined, point: Uint8Array | undefined) {
  if (curve === undefined || point === undefined) return undefined
  const inside = (bytes: number) => (point.length === bytes ? point : unwrapped(point, bytes))
  if (equalBytes(curve, P256_NAME)) {
    const plain = inside(65)
    if (plain === undefined || plain[0] !== 0x04) return undefined
    // Compressed (SEC 1 section 2.3.3): 02 or 03 by the last bit of y, then x.
    return { alg: 'ES256', publicKey: concat(Uint8Array.of(2 + (plain[64]! & 1)), plain.subarray(1, 33)) } as const
  }
  const raw = equalBytes(curve, ED25519_NAME) || equalBytes(curve, ED25519_WORD) ? inside(32) : undefined
  return raw === undefined ? undefined : ({ alg: 'EdDSA', publicKey: raw.slice() } as const)
}

/** What stands in a DER string of that many bytes: 04, the length, the bytes. */
const unwrapped = (der: Uint8Array, bytes: number): Uint8Array | undefined =>
  der.length === bytes + 2 && der[0] === 0x04 && der[1] === bytes ? der.subarray(2) : undefined
