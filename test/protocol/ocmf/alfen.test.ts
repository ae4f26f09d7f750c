import { sign } from 'node:crypto'
import { toHex } from '../../../protocol/bytes.ts'
import { parseAlfen, verifyAlfen } from '../../../protocol/ocmf/alfen.ts'
import { fromBase32 } from '../../../protocol/ocmf/base32.ts'
import { must } from '../../../protocol/result.ts'
import { isoTime } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { stationOn, verifier } from './foreign.ts'

const test = suite('alfen records')

/**
 * Records of the transparency software's tests (SAFE-eV/transparenzsoftware, Apache-2.0, AlfenSignatureVerifierTest):
 * two that are signed, of a meter of its documentation, and one whose dataset was changed.
 */
const BEGUN =
  'AP;0;3;AMVBBEIORR2RGJLJ6YRZUGACQAXSDFCL66EIP3N7;BJKGK43UIRSXMAAROYYDCMZNUYFACRC2I4ADGAABIAAAAAAAQ6ACMAD5CH4FWAIAAEEAB7Y6ACJD2AAAAAAAAABRAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAASAAAAAEIAAAAA====;IGRCBV3TL45XIGPJU7QGD3H4V6ICQ75GLPWEFNEKZX3RTTKJI2FBXHPCWUIWL5OENEHE3SQRVACHG===;'
const ENDED =
  'AP;1;3;AICIVT423BX3TJGK6QCCVRHQ63LJQUEVZWWTYQUZ;BJKGK43UIRSXMAAROYYDCMZNUYFACRC2I4ADGAABIAAAAAIAQ6ACMAD5CH4FWAIAAEEAB7Y6ACKD2AAAAAAAAABRAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAASAAAAAEQAAAAA====;C3J3MLA5XLF7QYYHA4RAJV7QLBWU5OB3M3DUKCUTREEQ5QORE45DMUQALYBEI2YOLNX7DYFRWGLYU===;'
const CHANGED =
  'AP;1;3;AICIVT423BX3TJGK6QCCVRHQ63LJQUEVZWWTYQUZ;BJKGK43UIRSXMAAROYYDCMZNUYFACRC2I4ADGCABIAAAAAEAQ6ACMAD5CH4FWAIAAEEAB7Y6ACKD2AAAAAAAAABRAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAASAAAAAEQAAAAA====;XVRQMWYJVQHI5GP53EPYUOYLHDAGBUTUIXJVRRZXKD7CIRXO6TYBFG7H43OT2STWBQW6MU7LMOBD2===;'

const codes = (texts: readonly string[], key?: string): string[] =>
  verifyAlfen(texts, key, verifier).broken.map(({ code }) => code)

function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map(byte => byte.toString(2).padStart(8, '0')).join('')
  const digits = (bits.match(/.{1,5}/g) ?? []).map(
    five => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five.padEnd(5, '0'), 2)],
  )
  return digits.join('').padEnd(Math.ceil(digits.length / 8) * 8, '=')
}

const station = stationOn('secp192r1')
const xy = Buffer.from(station.key.slice(-96), 'hex')
const point = Buffer.concat([Buffer.of(2 | (xy[47]! & 1)), xy.subarray(0, 24)])

/** A record of our own: fields of the dataset as in its table, the rest zeros. */
function made(
  type: string,
  over: Partial<Record<'status' | 'second' | 'time' | 'session' | 'page' | 'scaler', number>> & {
    value?: bigint
    uid?: string
    meter?: string
  } = {},
): string {
  const set = Buffer.alloc(82)
  set.write('adapter', 0)
  set.write(over.meter ?? 'meter', 16)
  set.writeUInt32LE(over.status ?? 0, 26)
  set.writeUInt32LE(over.second ?? 1000, 30)
  set.writeUInt32LE(over.time ?? 1_700_000_000, 34)
  set.set([1, 0, 1, 8, 0, 255, 30], 38)
  set.writeInt8(over.scaler ?? 0, 45)
  set.writeBigInt64LE(over.value ?? 5000n, 46)
  set.write(over.uid ?? 'tag', 54)
  set.writeUInt32LE(over.session ?? 3, 74)
  set.writeUInt32LE(over.page ?? 10, 78)
  const signature = sign('sha256', set, { key: station.privateKey, dsaEncoding: 'ieee-p1363' })
  return `AP;${type};3;${base32(point)};${base32(set)};${base32(signature)};`
}
const begun = made('0')
const ended = made('1', { page: 11, value: 6234n, second: 4600, time: 1_700_003_600 })

test('a published record is read field by field', () => {
  const record = must(parseAlfen(ENDED))
  assert.equal(
    [
      record.type,
      record.adapter,
      record.meter,
      record.obis,
      record.value,
      record.scaler,
      record.user,
      record.session,
      record.page,
    ],
    ['end', '0a546573744465760011', '0a01445a470033000140', '1-0:1.8.0', 15764n, 0, '1', 18, 18],
  )
  assert.equal([record.operatingSeconds, record.seconds], [2523271, 1542984061])
  assert.equal(record.errors, ['adapter error (bit 16)'])
  assert.is(toHex(record.signature).slice(0, 8), '16d3b62c')
})

test('published records are authentic, the changed one is not, and errors of the station are named', () => {
  const verdict = verifyAlfen([BEGUN], undefined, verifier)
  assert.equal([verdict.authentic, verdict.ok, verdict.complete], [true, true, false])
  assert.is(isoTime(verdict.transactions[0]!.begin!.at), '2018-11-23T14:41:01.000Z')
  assert.equal(codes([ENDED]), ['alfen.status'])
  assert.ok(verifyAlfen([ENDED], undefined, verifier).authentic)
  assert.ok(codes([CHANGED]).includes('alfen.signature'))
  // Two adapters, each with its own key.
  assert.ok(codes([BEGUN, ENDED]).includes('alfen.other-key'))
})

test('begin and end of one session say the energy, and what the format leaves unsigned', () => {
  const verdict = verifyAlfen([begun, ended], undefined, verifier)
  assert.equal([verdict.authentic, verdict.ok, verdict.complete, verdict.broken], [true, true, true, []])
  // 6234 Wh - 5000 Wh.
  assert.equal(verdict.transactions[0]!.energies, [
    { obis: '1-0:1.8.0', direction: 'import', value: 1234n, scaler: 0, unit: 'Wh' },
  ])
  assert.is(verdict.transactions[0]!.user, 'tag')
  assert.equal(
    verdict.notes.map(({ code }) => code),
    ['alfen.type-unsigned'],
  )
  const between = made('2', { page: 11, value: 5500n, second: 2000, time: 1_700_001_000 })
  const later = made('1', { page: 12, value: 6234n, second: 4600, time: 1_700_003_600 })
  assert.ok(verifyAlfen([begun, between, later], undefined, verifier).complete)
})

test('each broken rule of a run has its name', () => {
  const end = (over: Parameters<typeof made>[1]) =>
    made('1', { page: 11, value: 6234n, second: 4600, time: 1_700_003_600, ...over })
  assert.equal(codes([begun, end({ page: 12 })]), ['alfen.page-gap'])
  assert.equal(codes([begun, end({ page: 10 })]), ['alfen.page-back'])
  assert.equal(codes([begun, end({ value: 4999n })]), ['alfen.register-fell'])
  assert.equal(codes([begun, end({ time: 1_699_999_999 })]), ['alfen.time-back'])
  assert.equal(codes([begun, end({ second: 999 })]), ['alfen.operating-time-back'])
  assert.equal(codes([begun, end({ scaler: 1 })]), ['alfen.register-changed'])
  assert.equal(codes([begun, end({ meter: 'other' })]), ['alfen.serial-changed'])
  assert.equal(codes([begun, end({ uid: 'other' })]), ['alfen.user-changed'])
  for (const bit of [1, 2, 16, 26, 30, 31])
    assert.equal(codes([begun, end({ status: 2 ** bit })]), ['alfen.status'], `bit ${bit}`)
  assert.equal(codes([begun, end({ status: 2 ** 3 })]), [])
  assert.equal(codes([begun, made('0', { page: 11, second: 1001, value: 5000n })]), ['alfen.order'])
  assert.equal(verifyAlfen([begun, end({ page: 12 })], undefined, verifier).transactions[0]!.energies, [])
  // Another session: two parts, no energy.
  assert.equal(
    [codes([begun, end({ session: 4 })]), verifyAlfen([begun, end({ session: 4 })], undefined, verifier).complete],
    [[], false],
  )
})

test('a key from elsewhere decides, in each of its forms', () => {
  const bare = station.key.slice(-96)
  const { fingerprint } = verifyAlfen([begun], undefined, verifier).who!
  for (const key of [station.key, bare, `04${bare}`, toHex(point), base32(point)])
    assert.ok(verifyAlfen([begun, ended], key, verifier).ok, key)
  assert.is(verifyAlfen([begun], base32(point), verifier).who!.fingerprint, fingerprint)
  assert.equal(
    codes(
      [begun],
      must(parseAlfen(BEGUN)).key.reduce((text, byte) => text + byte.toString(16).padStart(2, '0'), ''),
    ),
    ['alfen.other-key'],
  )
  assert.equal(codes([begun], stationOn('secp192k1').key), ['alfen.curve'])
  assert.equal(codes([begun], 'no key'), ['key.unreadable'])
})

test('a text of another form is refused', () => {
  for (const text of [
    '',
    'AP',
    begun.slice(0, -2),
    `${begun};`,
    `${begun}x`,
    begun.replace('AP', 'AQ'),
    begun.replace('AP;0;3', 'AP;3;3'),
    begun.replace('AP;0;3', 'AP;0;1'),
    begun.toLowerCase(),
    begun.replace('=', ''),
  ])
    assert.not(verifyAlfen([text], undefined, verifier).authentic, text.slice(0, 20))
  assert.ok(verifyAlfen([` ${begun.slice(0, -1)}\n`], undefined, verifier).ok)
})

test('every character changed is refused, but for the type and the version, which nobody signed', () => {
  for (const [i, character] of [...begun].entries()) {
    for (const other of 'A2Bb=;0137 ') {
      if (other === character) continue
      const { authentic } = verifyAlfen([begun.slice(0, i) + other + begun.slice(i + 1)], undefined, verifier)
      if (authentic) assert.ok(i === 3 || i === 5 || (i === begun.length - 1 && other === ' '), `${i}: ${other}`)
    }
  }
})

test('any text is answered', () => {
  assertProperty(
    fc.property(fc.nat(begun.length), fc.string({ maxLength: 5 }), (at, put) => {
      const text = begun.slice(0, at) + put + begun.slice(at + put.length)
      const verdict = verifyAlfen([text], undefined, verifier)
      assert.ok(verdict.ok || verdict.broken.length > 0)
    }),
    500,
  )
})

test('base32 has one text for one byte string', () => {
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
      assert.equal(fromBase32(base32(bytes)), bytes)
    }),
  )
  // RFC 4648 section 10.
  for (const [text, encoded] of [
    ['f', 'MY======'],
    ['fo', 'MZXQ===='],
    ['foo', 'MZXW6==='],
    ['foob', 'MZXW6YQ='],
    ['fooba', 'MZXW6YTB'],
  ] as const)
    assert.equal(fromBase32(encoded), new TextEncoder().encode(text))
  for (const text of [
    'MZ======',
    'MY',
    'MY=====',
    'M=======',
    'MZX=====',
    'MZXW6Y==',
    'my======',
    'MY======MY======',
    '========',
    'M1======',
  ])
    assert.is(fromBase32(text), undefined, text)
})

test.run()
