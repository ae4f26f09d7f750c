import { createCipheriv } from 'node:crypto'
import { concat, hex } from '../../../protocol/bytes.ts'
import { openSuite0, type SealedBySuite0 } from '../../../protocol/crypto/aes-gcm-12.ts'
import { assert, suite } from '../../harness.ts'
import { dice } from '../telegram/mutate.ts'

const test = suite('aes-gcm-12')

const key = hex('000102030405060708090a0b0c0d0e0f')
const authKey = hex('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf')
const systemTitle = hex('4d4d4d0000bc614e')

/** The same by OpenSSL. */
function sealByOpenSsl(securityControl: number, counter: number, text: Uint8Array): SealedBySuite0 {
  const word = new Uint8Array(4)
  new DataView(word.buffer).setUint32(0, counter)
  const cipher = createCipheriv('aes-128-gcm', key, concat(systemTitle, word), { authTagLength: 12 })
  const [encrypted, tagged] = [(securityControl & 0x20) !== 0, (securityControl & 0x10) !== 0]
  const head = concat(Uint8Array.of(securityControl), authKey)
  if (tagged) cipher.setAAD(encrypted ? head : concat(head, text))
  const body = encrypted ? cipher.update(text) : text
  cipher.final()
  const bytes = concat(body, tagged ? cipher.getAuthTag() : new Uint8Array(0))
  return { key, authKey: tagged ? authKey : undefined, systemTitle, securityControl, counter, bytes }
}

const opened = (sealed: SealedBySuite0): Uint8Array | string => {
  const result = openSuite0(sealed)
  return result.ok ? result.value : result.fault.code
}

const CONTROLS = [0x10, 0x20, 0x30, 0x11, 0x21, 0x31]

test('opens what OpenSSL sealed: every protection, every length to 80, counters to the last', () => {
  const roll = dice(12)
  for (const securityControl of CONTROLS) {
    for (let length = 0; length <= 80; length++) {
      const text = Uint8Array.from({ length }, () => roll(256))
      const counter = [0, 1, 0x01234567, 0x80000000, 0xffffffff][length % 5]!
      assert.equal(opened(sealByOpenSsl(securityControl, counter, text)), text, `${securityControl} ${length}`)
    }
  }
})

test('the example of the DLMS Green Book: a get request under each protection', () => {
  // DLMS UA 1000-2 (Green Book, edition 7 and later), "example for ciphered APDUs": the counter is 01234567.
  const get = hex('c001000008000001 0000ff0200')
  const sealed = (securityControl: number, bytes: string) =>
    opened({
      key,
      authKey: securityControl === 0x20 ? undefined : authKey,
      systemTitle,
      securityControl,
      counter: 0x01234567,
      bytes: hex(bytes),
    })
  assert.equal(sealed(0x10, 'c0010000080000010000ff0200 06725d910f9221d263877516'), get)
  assert.equal(sealed(0x20, '411312ff935a47566827c467bc'), get)
  assert.equal(sealed(0x30, '411312ff935a47566827c467bc 7d825c3be4a77c3fcc056b6b'), get)
})

test('with any one bit flipped, of the text, the tag, the title, the counter, the control or a key, nothing opens', () => {
  for (const securityControl of [0x10, 0x30]) {
    const sealed = sealByOpenSsl(securityControl, 77, hex('00112233445566778899aabbccddeeff01'))
    for (const field of ['bytes', 'systemTitle', 'key', 'authKey'] as const) {
      const whole = sealed[field]!
      for (let bit = 0; bit < 8 * whole.length; bit++) {
        const flipped = Uint8Array.from(whole)
        flipped[bit >> 3]! ^= 1 << (bit & 7)
        assert.is(opened({ ...sealed, [field]: flipped }), 'cipher.tag', `${field} ${bit}`)
      }
    }
    for (let bit = 0; bit < 32; bit++)
      assert.is(opened({ ...sealed, counter: (77 ^ (1 << bit)) >>> 0 }), 'cipher.tag', `counter ${bit}`)
    assert.is(opened({ ...sealed, securityControl: securityControl | 1 }), 'cipher.tag')
  }
})

test('without the authentication key the tag keeps nothing out: the text is what the bytes say', () => {
  const text = hex('0011223344')
  for (const securityControl of [0x10, 0x30]) {
    const sealed = sealByOpenSsl(securityControl, 5, text)
    const damaged = { ...sealed, authKey: undefined, bytes: Uint8Array.from(sealed.bytes) }
    damaged.bytes[1]! ^= 0x80
    assert.equal(opened(damaged), hex('0091223344'))
    assert.is(opened({ ...damaged, authKey }), 'cipher.tag')
  }
})

test('with the authentication key there is no way around the tag: a control that promises none is refused', () => {
  const text = hex('0011223344')
  const sealed = { ...sealByOpenSsl(0x30, 5, text), securityControl: 0x20 }
  assert.is(opened({ ...sealed, authKey }), 'cipher.untagged')
  const unkeyed = opened({ ...sealed, authKey: undefined })
  assert.equal(unkeyed.slice(0, 5), text)
})

test('keys, controls and lengths that are none are refused', () => {
  const sealed = sealByOpenSsl(0x30, 1, hex('0011'))
  assert.is(opened({ ...sealed, key: key.subarray(1) }), 'cipher.key')
  assert.is(opened({ ...sealed, key: concat(key, key) }), 'cipher.key')
  assert.is(opened({ ...sealed, authKey: authKey.subarray(1) }), 'cipher.key')
  assert.is(opened({ ...sealed, systemTitle: systemTitle.subarray(1) }), 'cipher.short')
  for (const bytes of [new Uint8Array(0), new Uint8Array(11)]) assert.is(opened({ ...sealed, bytes }), 'cipher.short')
  for (const securityControl of [0x00, 0x01, 0x32, 0x70, 0xb0])
    assert.is(opened({ ...sealed, securityControl }), 'cipher.control')
})

test.run()
