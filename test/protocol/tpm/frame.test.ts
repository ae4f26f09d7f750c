/** Bytes of commands by hand, responses of an honest TPM, and everything else that could stand in their place. */
import { concat, hex, toHex } from '../../../protocol/bytes.ts'
import type { Result } from '../../../protocol/result.ts'
import {
  certify,
  create,
  createPrimary,
  flushContext,
  getCurves,
  getProperties,
  getRandom,
  HIERARCHY,
  isOwnerHandle,
  load,
  makePersistent,
  readPublic,
  sign,
  startup,
} from '../../../protocol/tpm/commands.ts'
import { readResponse, responseSize, type TpmCommand, writeCommand } from '../../../protocol/tpm/frame.ts'
import { TpmReader, tpm2b, u16, u32 } from '../../../protocol/tpm/marshal.ts'
import { TEMPLATE } from '../../../protocol/tpm/public-area.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('tpm frames')

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
const DIGEST = hex('e3b0c442 98fc1c14 9afbf4c8 996fb924 27ae41e4 649b934c a495991b 7852b855')

const KEY = { handle: 0x8102_0001, name: hex('000b'), auth: hex('0102') }

/** Each command in use. */
const COMMANDS: readonly TpmCommand<unknown>[] = [
  startup(),
  getRandom(8),
  getProperties(0x100, 8),
  getCurves(),
  createPrimary(HIERARCHY.owner, TEMPLATE.storage),
  create({ handle: 0x8000_0000, name: hex('00'), auth: hex('') }, TEMPLATE.metering, new Uint8Array(16)),
  load(0x8000_0000, { encrypted: hex('aa'), area: hex('bb') }),
  readPublic(0x8102_0001),
  makePersistent(0x8000_0001, 0x8102_0001),
  flushContext(0x8000_0001),
  sign(KEY, DIGEST),
  certify(KEY, { handle: 0x8000_0000, name: hex('00') }, new Uint8Array(16)),
]

test('commands are the bytes of Part 3, with and without a password', () => {
  for (const [command, bytes] of [
    [startup(), '8001 0000000c 00000144 0000'],
    [getRandom(8), '8001 0000000c 0000017b 0008'],
    [flushContext(0x8000_0001), '8001 0000000e 00000165 80000001'],
    [readPublic(0x8102_0001), '8001 0000000e 00000173 81020001'],
    [getCurves(), '8001 00000016 0000017a 00000008 00000000 000000ff'],
    [
      makePersistent(0x8000_0001, 0x8102_0001),
      // Owner, key; 9 bytes of authorization: TPM_RS_PW, no nonce, continueSession, empty password; the new handle.
      '8002 00000023 00000120 40000001 80000001 00000009 40000009 0000 01 0000 81020001',
    ],
    [
      sign(KEY, DIGEST),
      `8002 00000049 0000015d 81020001 0000000b 40000009 0000 01 0002 0102
       0020 ${toHex(DIGEST)} 0010 8024 40000007 0000`,
    ],
  ] as const) {
    assert.is(toHex(writeCommand(command)), toHex(hex(bytes)), command.name)
  }
})

test('the storage key is the one of the provisioning guidance, bit by bit', () => {
  // fixedTPM 1, fixedParent 4, sensitiveDataOrigin 5, userWithAuth 6, noDA 10, restricted 16, decrypt 17: 00030472.
  assert.is(toHex(TEMPLATE.storage), toHex(hex('0023 000b 00030472 0000 0006 0080 0043 0010 0003 0010 0000 0000')))
  assert.is(toHex(TEMPLATE.metering), toHex(hex('0023 000b 00040472 0000 0010 0018 000b 0003 0010 0000 0000')))
  assert.is(toHex(TEMPLATE.attestation), toHex(hex('0023 000b 00050472 0000 0010 0018 000b 0003 0010 0000 0000')))
})

test('a good answer is read, and a refusal is told by its name', () => {
  const random = readResponse(getRandom(8), hex('8001 00000014 00000000 0008 62a4d4570ae0c52b'))
  assert.equal(random, { ok: true, value: hex('62a4d4570ae0c52b') })
  const kept = hex('8002 00000013 00000000 00000000 0000 01 0000')
  assert.is(codeOf(readResponse(makePersistent(0x8000_0001, 0x8102_0001), kept)), 'ok')
  assert.is(codeOf(readResponse(startup(), hex('8001 0000000a 00000100'))), 'tpm.not-started')
  assert.is(codeOf(readResponse(startup(), hex('00c4 0000000a 0000001e'))), 'tpm.refused')
})

test('an answer that is short, long, of another tag or of other parts is malformed', () => {
  const good = '8002 00000013 00000000 00000000 0000 01 0000'
  for (const bytes of [
    '',
    '80',
    '8001 0000000a 0000',
    // Says less and more than it is.
    good.replace('13', '12'),
    good.replace('13', '14'),
    // Without sessions, where one was sent; the tag of a command of TPM 1.2.
    good.replace('8002', '8001'),
    good.replace('8002', '00c1'),
    // Parameters, a nonce, an HMAC, a byte after all.
    '8002 00000014 00000000 00000001 00 0000 01 0000',
    '8002 00000014 00000000 00000000 0001 00 01 0000',
    '8002 00000014 00000000 00000000 0000 01 0001 00',
    '8002 00000014 00000000 00000000 0000 01 0000 00',
    // Parameters that reach beyond the end.
    '8002 00000013 00000000 0000ffff 0000 01 0000',
    // Refusals with something behind.
    '8001 0000000b 00000101 00',
    '8002 0000000a 00000101',
  ]) {
    const answer = readResponse(makePersistent(0x8000_0001, 0x8102_0001), hex(bytes))
    assert.is(codeOf(answer), 'tpm.malformed', bytes)
  }
  assert.is(codeOf(readResponse(getRandom(8), hex('8001 00000010 00000000 0004 62a4d457'))), 'tpm.malformed')
})

test('a size is believed from the header alone, and only between 10 and 4096', () => {
  assert.is(responseSize(hex('8001 0000000a 00000000')), 10)
  assert.is(responseSize(hex('8001 00001000 00000000')), 4096)
  for (const size of ['00000009', '00001001', 'ffffffff', '00000000']) {
    assert.is(responseSize(hex(`8001 ${size} 00000000`)), undefined)
  }
})

test('any bytes at all are answered with a fault or a value by every command, never with a throw', () => {
  const framed = fc
    .tuple(fc.constantFrom(0x8001, 0x8002), fc.constantFrom(0, 0, 0, 0x100, 0x98e), fc.uint8Array({ maxLength: 200 }))
    .map(([tag, code, body]) => concat(u16(tag), u32(body.length + 10), u32(code), body))
  assertProperty(
    fc.property(fc.constantFrom(...COMMANDS), fc.oneof(framed, fc.uint8Array({ maxLength: 64 })), (command, bytes) => {
      const answer = readResponse(command, bytes)
      if (!answer.ok) assert.match(answer.fault.code, /^tpm\./)
    }),
    5_000,
  )
})

test('what is written is read back, and nothing past the end is made up', () => {
  assertProperty(
    fc.property(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(400),
      (short, long, bytes, cut) => {
        const whole = concat(u16(short), u32(long), tpm2b(bytes))
        const reader = new TpmReader(whole)
        assert.equal([reader.u16(), reader.u32(), [...reader.tpm2b()]], [short, long, [...bytes]])
        assert.ok(reader.ended)
        if (cut >= whole.length) return
        const torn = new TpmReader(whole.subarray(0, cut))
        torn.u16()
        torn.u32()
        torn.tpm2b()
        assert.not.ok(torn.ended)
      },
    ),
  )
})

test('64-bit numbers keep every bit', () => {
  const reader = new TpmReader(hex('ffffffff ffffffff 00000001 80000000'))
  assert.is(reader.u64(), 0xffff_ffff_ffff_ffffn)
  assert.is(reader.u64(), 0x1_8000_0000n)
  assert.ok(reader.ended)
})

test('persistent handles of the owner are those with 81, in the lower half', () => {
  for (const handle of [0x8100_0000, 0x8102_0001, 0x817f_ffff]) assert.ok(isOwnerHandle(handle))
  for (const handle of [0x80ff_ffff, 0x8180_0000, 0x4000_0001, -1, 0x8100_0000 + 0.5]) {
    assert.not.ok(isOwnerHandle(handle))
  }
})

test.run()
