import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { concat, equalBytes, hex, toHex } from '../../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../../protocol/cbor.ts'
import { verifyEventChain } from '../../../protocol/reading/chain.ts'
import {
  EVENT_KINDS,
  EVENT_PURPOSE,
  type Event,
  encodeEvent,
  parseEvent,
  type What,
} from '../../../protocol/reading/event.ts'
import { compareHeads, encodeHead, HEAD_PURPOSE, type JournalHead, parseHead } from '../../../protocol/reading/head.ts'
import { READING_PURPOSE } from '../../../protocol/reading/reading.ts'
import { type VerifiedEvent, verifyEvent, verifyHead } from '../../../protocol/reading/verify.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { sampleContext, signer, verifier } from './sample.ts'

const test = suite('events and heads')

const hash = new Uint8Array(32).fill(0xaa)
const stranger = createSigner(new Uint8Array(32).fill(9))
const { device } = sampleContext

const first: Event = {
  device,
  key: signer.publicKey,
  boot: 3,
  sequence: 1,
  time: instant(1_795_000_000_000),
  quality: 'synchronised',
  what: { kind: 'torn-tail', segment: 2, offset: 4096, bytes: 300 },
}
const head: JournalHead = {
  device,
  journal: new Uint8Array(16).fill(0x33),
  sequence: 1000,
  hash,
  records: 70_000,
  time: instant(1_795_000_000_000),
}

/** One of each kind, with the largest numbers that it can hold. */
const LARGEST: Record<What['kind'], What> = {
  'torn-tail': { kind: 'torn-tail', segment: 2 ** 53 - 1, offset: 2 ** 53 - 1, bytes: 2 ** 53 - 1 },
  sealed: { kind: 'sealed', segment: 2 ** 53 - 1, sequence: 2 ** 53 - 1, hash, records: 2 ** 53 - 1 },
  dropped: { kind: 'dropped', segment: 2 ** 53 - 1, sequence: 2 ** 53 - 1, hash },
  'clock-step': { kind: 'clock-step', from: instant(253_402_300_799_999), to: instant(0) },
  'clock-quality': { kind: 'clock-quality', from: 'unknown', to: 'relative' },
  'not-recorded': { kind: 'not-recorded', from: instant(0), to: instant(253_402_300_799_999) },
  'key-rotated': { kind: 'key-rotated', statement: hash },
}

const sealEvent = async (event: Event, by = signer, purpose = EVENT_PURPOSE): Promise<Uint8Array> =>
  must(await signEnvelope(by, encodeEvent(event), purpose)).envelope
const sealHead = async (by = signer, purpose = HEAD_PURPOSE): Promise<Uint8Array> =>
  must(await signEnvelope(by, encodeHead(head), purpose)).envelope

const eventCode = (bytes: Uint8Array): string => {
  const found = verifyEvent(bytes, signer.publicKey, verifier)
  return found.ok ? 'accepted' : found.fault.code
}
const headCode = (bytes: Uint8Array): string => {
  const found = verifyHead(bytes, signer.publicKey, verifier)
  return found.ok ? 'accepted' : found.fault.code
}

test('the bytes of an event are these and no others', () => {
  const bytes = hex(`
    a7
      01 51 ${toHex(device)}
      02 5820 ${toHex(signer.publicKey)}
      03 03
      04 01
      05 1b 000001a1ee565e00
      06 02
      07 82 00 a3  01 02  02 19 1000  03 19 012c`)
  assert.is(toHex(encodeEvent(first)), toHex(bytes))
  assert.equal(must(parseEvent(bytes)), first)
})

test('the bytes of a head are these and no others', () => {
  const bytes = hex(`
    a6
      01 51 ${toHex(device)}
      02 50 ${'33'.repeat(16)}
      03 19 03e8
      04 5820 ${'aa'.repeat(32)}
      05 1a 00011170
      06 1b 000001a1ee565e00`)
  assert.is(toHex(encodeHead(head)), toHex(bytes))
  assert.equal(must(parseHead(bytes)), head)
})

test('each kind has its number on disk for good, and reads back as it was written, largest numbers included', () => {
  assert.equal(EVENT_KINDS, [
    'torn-tail',
    'sealed',
    'dropped',
    'clock-step',
    'clock-quality',
    'not-recorded',
    'key-rotated',
  ])
  for (const what of Object.values(LARGEST)) {
    const event: Event = { ...first, sequence: 2 ** 53 - 1, previous: hash, boot: 2 ** 32 - 1, what }
    assert.equal(must(parseEvent(encodeEvent(event))), event)
  }
})

test('an event and a head verify for their key and purpose only', async () => {
  assert.equal(must(verifyEvent(await sealEvent(first), signer.publicKey, verifier)).event, first)
  assert.equal(must(verifyHead(await sealHead(), signer.publicKey, verifier)).head, head)
  assert.is(eventCode(await sealEvent(first, signer, READING_PURPOSE)), 'cose.signature')
  assert.is(headCode(await sealHead(signer, EVENT_PURPOSE)), 'cose.signature')
  assert.is(eventCode(await sealEvent(first, stranger)), 'reading.kid')
  assert.is(headCode(await sealHead(stranger)), 'reading.kid')
  assert.is(eventCode(await sealEvent({ ...first, key: stranger.publicKey })), 'reading.key')
  const claims = { ...stranger, publicKey: signer.publicKey }
  assert.is(eventCode(await sealEvent(first, claims)), 'cose.signature')
  assert.is(headCode(await sealHead(claims)), 'cose.signature')
})

test('any one byte changed, cut off or added is refused', async () => {
  const whole = Object.values(LARGEST).map(what => sealEvent({ ...first, sequence: 2, previous: hash, what }))
  for (const [bytes, codeOf] of [
    ...(await Promise.all(whole)).map(bytes => [bytes, eventCode] as const),
    [await sealHead(), headCode] as const,
  ]) {
    for (let at = 0; at < bytes.length; at++) {
      const bad = bytes.slice()
      bad[at]! ^= 0x01
      assert.is.not(codeOf(bad), 'accepted', `byte ${at}`)
      assert.is.not(codeOf(bytes.subarray(0, at)), 'accepted', `cut at ${at}`)
    }
    assert.is.not(codeOf(concat(bytes, Uint8Array.of(0))), 'accepted')
  }
})

test('what no gateway would say is refused by field', () => {
  const change = (key: number, value: Cbor | undefined): string => {
    const map = new Map(must(decode(encodeEvent(first))) as ReadonlyMap<number, Cbor>)
    if (value === undefined) map.delete(key)
    else map.set(key, value)
    const parsed = parseEvent(encode(map))
    return parsed.ok ? 'accepted' : 'field' in parsed.fault ? parsed.fault.field : parsed.fault.code
  }
  assert.is(change(3, 4), 'accepted')
  assert.is(change(3, 0), 'event.boot')
  assert.is(change(4, 2), 'event.previous')
  assert.is(change(8, hash), 'event.previous')
  assert.is(change(5, -1), 'event.time')
  assert.is(change(6, 4), 'event.quality')
  assert.is(change(7, undefined), 'event.what')
  for (const bad of [0, [0], [7, new Map()], [-1, new Map()], [0.5 - 0.5, 1], ['0', new Map()], [0, new Map(), 0]]) {
    assert.match(change(7, bad as Cbor), /^event\.what/)
  }
  // Names of what every list has, where a place in one is expected.
  for (const kind of ['length', 'map', '__proto__']) assert.is(change(7, [kind, new Map()]), 'event.what.kind')
  const details = new Map([
    [1, 2],
    [2, 3],
    [3, -1],
  ])
  assert.is(change(7, [0, details]), 'event.what.torn-tail.bytes')
  assert.is(change(9, 0), 'record.unknown-key')
})

test('an event left out, put twice or swapped is seen; events of another gateway or an earlier boot do not belong', async () => {
  const chain: VerifiedEvent[] = []
  const grow = async (change: Partial<Event> = {}): Promise<VerifiedEvent> => {
    const last = chain.at(-1)
    const linked = last === undefined ? first : { ...first, sequence: last.event.sequence + 1, previous: last.hash }
    return must(verifyEvent(await sealEvent({ ...linked, ...change }), signer.publicKey, verifier))
  }
  for (let i = 0; i < 4; i++) chain.push(await grow({ time: instant(1_795_000_000_000 - i) }))
  const [a, b, c, d] = chain as [VerifiedEvent, VerifiedEvent, VerifiedEvent, VerifiedEvent]
  const codesOf = (...events: VerifiedEvent[]) => verifyEventChain(events).map(({ code }) => code)
  assert.equal(codesOf(a, b, c, d), [])
  assert.equal(codesOf(c, d), [])
  assert.equal(codesOf(a, b, d), ['chain.sequence-gap', 'chain.previous-hash'])
  assert.equal(codesOf(a, b, b, c), ['chain.sequence-back', 'chain.previous-hash'])
  assert.ok(codesOf(a, c, b, d).includes('chain.sequence-back'))
  assert.equal(codesOf(a, b, c, d, await grow({ boot: 2 })), ['chain.boot-fell'])
  assert.equal(codesOf(a, b, c, d, await grow({ device: new Uint8Array(17) })), ['chain.other-device'])
})

test('two heads of one journal go on, stand still, go back or deny each other', () => {
  const later = { ...head, sequence: 1001, hash: new Uint8Array(32) }
  assert.is(compareHeads(head, later), 'goes-on')
  assert.is(compareHeads(head, { ...head, time: instant(0) }), 'same')
  assert.is(compareHeads(later, head), 'back')
  assert.is(compareHeads(head, { ...head, hash: later.hash }), 'forked')
  assert.is(compareHeads(head, { ...head, journal: new Uint8Array(16) }), 'other')
  assert.is(compareHeads(head, { ...head, device: new Uint8Array(17) }), 'other')
  assert.not.ok(equalBytes(head.hash, later.hash))
})

test('an event takes at most 300 bytes, a head 200', async () => {
  for (const what of Object.values(LARGEST)) {
    const bytes = await sealEvent({ ...first, sequence: 2 ** 32, previous: hash, what })
    assert.ok(bytes.length <= 300, `${what.kind} ${bytes.length}`)
  }
  assert.ok((await sealHead()).length <= 200, `${(await sealHead()).length}`)
})

test.run()
