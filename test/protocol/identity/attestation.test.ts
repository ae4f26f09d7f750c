import { toHex } from '../../../protocol/bytes.ts'
import { attestToken, FILE_ATTESTATION, type TokenKeyAttributes } from '../../../protocol/identity/attestation.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('attestation of a key')

const token = { label: 'grid', manufacturer: 'Maker', model: 'M1', serial: '0007' }
const inside: TokenKeyAttributes = {
  sensitive: true,
  alwaysSensitive: true,
  extractable: false,
  neverExtractable: true,
  local: true,
}

test('a token key is trusted as one only where the token says all five things of it', () => {
  assert.is(attestToken(token, inside).trust, 'token')
  for (const name of Object.keys(inside) as (keyof TokenKeyAttributes)[]) {
    for (const told of [!inside[name], undefined]) {
      const { trust, rule, verified } = attestToken(token, { ...inside, [name]: told })
      assert.is(trust, 'software', `${name} ${told}`)
      assert.match(rule, new RegExp(`is ${told === undefined ? 'not told' : told}$`))
      assert.is(verified, false)
    }
  }
})

test('the evidence is the label, maker, model, serial and the five answers, null where none was given', () => {
  const { evidence } = attestToken(token, { ...inside, local: undefined })
  assert.is(
    toHex(evidence),
    // [ "grid", "Maker", "M1", "0007", [ true, true, false, true, null ] ]
    '85 6467726964 654d616b6572 624d31 6430303037 85 f5 f5 f4 f5 f6'.replaceAll(' ', ''),
  )
})

test('neither a token nor a file is proof of anything', () => {
  assert.is(attestToken(token, inside).verified, false)
  assert.is(FILE_ATTESTATION.verified, false)
  assert.is(FILE_ATTESTATION.trust, 'sealed-file')
})

test.run()
