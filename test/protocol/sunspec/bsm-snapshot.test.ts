import { createPublicKey, createVerify } from 'node:crypto'
import { concat, equalBytes, hex, toHex } from '../../../protocol/bytes.ts'
import { p256 } from '../../../protocol/crypto/curves.ts'
import { nobleVerifier, type Verifier } from '../../../protocol/crypto/verify.ts'
import { decodeRtuAnswer, decodeRtuRequest } from '../../../protocol/modbus/frame.ts'
import { decodeAnswer, type ModbusRequest } from '../../../protocol/modbus/pdu.ts'
import { must } from '../../../protocol/result.ts'
import { bsmPublicKey, verifyBsmSnapshot } from '../../../protocol/sunspec/bsm-snapshot.ts'
import { findValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { noSharedData } from '../../data.ts'
import { assert, suite } from '../../harness.ts'
import { captured, publicKey, snapshots } from './bsm-captures.ts'

const test = suite('BAUER BSM-WS36A snapshots')

/** The request that a captured response answers, as far as its bytes tell. */
function requestOf(frame: Uint8Array): ModbusRequest {
  const u16 = (at: number): number => (frame[at]! << 8) | frame[at + 1]!
  return frame[1] === 3
    ? { fn: 3, address: 0, count: frame[2]! / 2 }
    : { fn: 16, address: u16(2), values: Array.from({ length: u16(4) }, () => 0) }
}

/** Judges by OpenSSL what our own code judges by noble. */
const openSsl: Verifier = {
  verify: (_alg, key, message, signature) =>
    createVerify('sha256')
      .update(message)
      .verify(
        {
          key: createPublicKey({
            key: Buffer.concat([
              // SubjectPublicKeyInfo of P-256 (RFC 5480).
              hex('3059 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 034200'),
              p256.Point.fromBytes(key).toBytes(false),
            ]),
            format: 'der',
            type: 'spki',
          }),
          dsaEncoding: 'ieee-p1363',
        },
        signature,
      ),
}

test.skipIf(noSharedData, 'every captured frame is taken or refused as its note says', () => {
  let requests = 0
  let responses = 0
  for (const { dir, hex: text, crcOk } of captured()) {
    const frame = hex(text)
    if (dir === 'request') {
      const pull = decodeRtuRequest(frame)
      assert.is(pull.kind === 'frame' && pull.used === frame.length, crcOk, text)
      requests++
      continue
    }
    const pull = decodeRtuAnswer(frame[0]!, requestOf(frame), frame)
    assert.is(pull.kind === 'frame' && pull.used === frame.length, crcOk, text)
    if (pull.kind === 'frame') assert.ok(decodeAnswer(requestOf(frame), pull.value).ok)
    responses++
  }
  assert.equal([requests, responses], [18, 27])
})

test.skipIf(
  noSharedData,
  'the three captured snapshots are genuine, by two libraries, and say what the documentation says',
  () => {
    const key = publicKey()
    const read = snapshots().map(bytes => {
      assert.ok(verifyBsmSnapshot(bytes, key, openSsl).ok)
      return must(verifyBsmSnapshot(bytes, key, nobleVerifier))
    })
    assert.equal(
      read.map(({ type, counter, operatingSeconds, epoch, zoneMinutes, values }) => [
        type,
        counter,
        operatingSeconds,
        epoch,
        zoneMinutes,
        ...values.map(({ obis, value, scaler, unit }) => `${obis} ${value}e${scaler} ${unit}`),
      ]),
      [
        // bsm-python, doc/examples/ev-charging.md: OCMF says TX B, RV 0.00, XV 99.84 kWh, 2022-07-08T10:00:28+0200, PG T4276.
        [
          'turn-on',
          4276,
          519_243,
          1_657_267_228,
          120,
          '1-0:1.8.0 9984e1 Wh',
          '1-0:1.8.0*198 0e1 Wh',
          '1-0:16.7.0 0e1 W',
        ],
        // TX E, RV 0.15, XV 100.00 kWh.
        [
          'turn-off',
          4277,
          519_567,
          1_657_267_552,
          120,
          '1-0:1.8.0 10000e1 Wh',
          '1-0:1.8.0*198 15e1 Wh',
          '1-0:16.7.0 0e1 W',
        ],
        // doc/examples/snapshots.md: RCR 150 Wh, TotWhImp 100000 Wh, W 0, RCnt 4278, OS 519624, Epoch 1657267609, TZO 120.
        [
          'current',
          4278,
          519_624,
          1_657_267_609,
          120,
          '1-0:1.8.0 10000e1 Wh',
          '1-0:1.8.0*198 15e1 Wh',
          '1-0:16.7.0 0e1 W',
        ],
      ],
    )
    assert.equal(
      read.map(({ meta }) => meta.map(text => text.split(':')[0])),
      Array.from({ length: 3 }, () => ['contract-id', 'evse-id', 'csc-sw-version']),
    )
    assert.is(new Set(read.map(({ meterId }) => meterId)).size, 1)
  },
)

test.skipIf(noSharedData, 'a snapshot with any bit of its data or signature altered is refused', () => {
  const key = publicKey()
  const genuine = snapshots()[1]!
  // Where a flip changes what is signed: up to the events, without the status; and the signature's own bytes.
  const end = 2 * 206 + genuine[2 * 205 + 1]!
  let refused = 0
  for (let at = 0; at < end; at++) {
    const altered = genuine.slice()
    altered[at]! ^= 1 << (at % 8)
    const result = verifyBsmSnapshot(altered, key, nobleVerifier)
    // The unused end of a text is not signed, and not read: bytes behind its zero.
    const text = [
      [32, 102],
      [102, 152],
      [152, 202],
    ].find(([from, to]) => at >= 2 * from! && at < 2 * to!)
    if (text !== undefined && genuine.subarray(2 * text[0]!, at).includes(0)) {
      assert.equal(result, verifyBsmSnapshot(genuine, key, nobleVerifier), `byte ${at}`)
      continue
    }
    assert.not.ok(result.ok, `byte ${at}`)
    refused++
  }
  assert.ok(refused > 200, `${refused}`)
})

test.skipIf(noSharedData, 'another key, another length and a snapshot that failed are refused by name', () => {
  const key = publicKey()
  const [one, two] = snapshots()
  const code = (bytes: Uint8Array, by = key): string => {
    const result = verifyBsmSnapshot(bytes, by, nobleVerifier)
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(code(one!), 'ok')
  assert.is(code(one!, p256.Point.BASE.toBytes(true)), 'bsm.signature')
  assert.is(code(one!, key.subarray(1)), 'bsm.signature')
  assert.is(code(one!.subarray(0, -1)), 'bsm.layout')
  assert.is(code(new Uint8Array(0)), 'bsm.layout')
  // St 3: FAILED_GENERAL.
  assert.is(code(one!.with(7, 3)), 'bsm.status')
  // One snapshot's data with the other's signature.
  const crossed = concat(one!.subarray(0, 408), two!.subarray(408))
  assert.is(code(crossed), 'bsm.signature')
})

test.skipIf(
  noSharedData,
  'the key that the meter gives is taken as it signs with it; one that is none is refused',
  () => {
    const key = publicKey()
    const given = concat(
      hex('0030 005b 3059 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 034200'),
      p256.Point.fromBytes(key).toBytes(false),
      hex('00 0000 0000'),
    )
    assert.equal(must(bsmPublicKey(given)), key)
    const code = (bytes: Uint8Array): string => {
      const result = bsmPublicKey(bytes)
      return result.ok ? 'ok' : result.fault.code
    }
    assert.is(code(given.subarray(0, 90)), 'bsm.key')
    assert.is(code(given.with(3, 0x5a)), 'bsm.key')
    // Another curve's name, and a compressed point in an uncompressed one's place.
    assert.is(code(given.with(25, 8)), 'bsm.key')
    assert.is(code(given.with(30, 3)), 'bsm.key')
    // All ones are no coordinate of the field.
    assert.is(code(concat(given.subarray(0, 31), new Uint8Array(64).fill(0xff))), 'key.not-admissible')
  },
)

test('what the meter signs under a fatal event is not believed; without its verdict it would be', () => {
  const bytes = new Uint8Array(508)
  bytes.set(hex('fd85 00fc 0000 0000 0000 0005 0000 0007 0000 fff6 0000'))
  bytes.set(hex('0030 0008 3006 0201 01 0201 01'), 408)
  const yes: Verifier = { verify: () => true }
  const key = new Uint8Array(33)
  const sound = must(verifyBsmSnapshot(bytes, key, yes))
  assert.is(findValue(sound.values, OBIS.energyImport)?.value, 7n)
  assert.is(findValue(sound.values, OBIS.power)?.value, -10n)
  // Bit 18: communication module firmware hash mismatch.
  const distrusted = bytes.slice()
  distrusted.set(hex('0004 0000'), 404)
  const result = verifyBsmSnapshot(distrusted, key, yes)
  assert.equal(result.ok || [result.fault.code, result.fault['events']], ['bsm.distrust', 0x4_0000])
})

test('the abstract form is hashed as bsm-python prints it for its example', () => {
  let message = new Uint8Array(0)
  const spy: Verifier = {
    verify: (_alg, _key, heard) => {
      message = heard.slice()
      return true
    },
  }
  const bytes = new Uint8Array(508)
  bytes.set(hex('fd85 00fc 0001 0000 0000 000f 0000 2710 0001 8000 0000 4142 4300'))
  bytes.set(hex('0030 0008 3006 0201 01 0201 01'), 408)
  must(verifyBsmSnapshot(bytes, new Uint8Array(33), spy))
  // Typ | RCR 15 x 10^1 Wh | TotWhImp 10,000 x 10^1 Wh | W not available | `ABC` | ...
  const expected = hex('00000001 00 ff  0000000f 01 1e  00002710 01 1e  00008000 00 1b  00000003 414243')
  assert.ok(equalBytes(message.subarray(0, expected.length), expected), toHex(message))
})

test.run()
