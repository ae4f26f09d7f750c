import { createPublicKey } from 'node:crypto'
import { readPublicKey } from '../../../protocol/ocmf/key.ts'
import { parseOcmf } from '../../../protocol/ocmf/parse.ts'
import { verifyOcmf } from '../../../protocol/ocmf/verify.ts'
import { isoTime } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, CURVE_NAMES, END, judged, payloadOf, rulesBroken, signed, stationOn, verifier } from './foreign.ts'

const test = suite('ocmf verification')

const station = stationOn('secp256r1')
const rules = (text: string, key: string | undefined = station.key): string[] =>
  verifyOcmf([text], key, verifier).broken.map(({ code }) => code)

test('a whole transaction says who, when and how much, to the last digit', () => {
  const verdict = judged(payloadOf())
  assert.equal(
    [verdict.authentic, verdict.ok, verdict.complete, verdict.broken, verdict.notes],
    [true, true, true, [], []],
  )
  const [transaction] = verdict.transactions
  assert.is(isoTime(transaction!.begin!.at), '2024-02-29T11:00:00.000Z')
  assert.is(isoTime(transaction!.end!.at), '2024-02-29T12:00:00.000Z')
  // 110.75 kWh - 100.5 kWh = 10.25 kWh = 1025 x 10^1 Wh.
  assert.equal(transaction!.energies, [{ obis: '1-0:1.8.0', direction: 'import', value: 1025n, scaler: 1, unit: 'Wh' }])
  assert.equal([verdict.who!.gatewaySerial, verdict.who!.meterSerial, verdict.who!.curve], ['G-1', 'M-1', 'secp256r1'])
  assert.match(verdict.who!.fingerprint, /^[0-9a-f]{64}$/)
})

test('digits that a float would lose are kept', () => {
  const payload = payloadOf().replace('100.5', '0.1').replace('110.75', '9007199254740993.3')
  assert.equal(judged(payload).transactions[0]!.energies[0], {
    obis: '1-0:1.8.0',
    direction: 'import',
    value: 90071992547409932n,
    scaler: 2,
    unit: 'Wh',
  })
})

test('a record is three sections, and nothing may be hung on', () => {
  const record = signed(payloadOf())
  assert.equal(rules(`\n ${record}\r\n`), [])
  for (const text of [
    `${record}|`,
    `${record}|${station.key}`,
    `OCMF|${record}`,
    record.replace('station', 'sta|tion'),
  ])
    assert.equal(rules(text), ['ocmf.sections'], text)
  for (const text of ['', 'OCMF', 'ocmf|{}|{}', `x${record}`, `OCMF |${record.slice(5)}`])
    assert.is(rules(text)[0], text === 'OCMF' ? 'ocmf.sections' : 'ocmf.header', text)
  assert.equal(rules(signed(payloadOf({ GI: 'a pipe | within' }).replace('|', '\\u007c'))), [])
  assert.equal(rules(`${record} x`), ['json.syntax'])
})

test('blanks within the payload are signed with it', () => {
  const payload = ` \n${payloadOf().replaceAll(',"', ' ,\t"')} `
  assert.equal(rules(signed(payload)), [])
  assert.equal(rules(signed(payload).replace(' ,\t', ',\t')), ['ocmf.signature'])
})

test('two names that are equal are refused in either section', () => {
  assert.equal(rules(signed(payloadOf().replace('"RV":100.5', '"RV":100.5,"RV":0'))), ['json.duplicate-key'])
  const record = signed(payloadOf())
  assert.equal(rules(record.replace('"SD"', '"SD":"00","SD"')), ['json.duplicate-key'])
})

test('the curve is the key and not what the record says beside it', () => {
  for (const other of CURVE_NAMES.filter(curve => curve !== 'secp256r1'))
    assert.equal(rules(signed(payloadOf(), station, { SA: `ECDSA-${other}-SHA256` })), ['ocmf.curve-differs'], other)
  // Left out, SA is secp256r1 since 0.4, and the key's before.
  const other = stationOn('secp256k1')
  const bare = (FV: string) => signed(payloadOf({ FV }), other, { SA: undefined })
  assert.equal(rules(bare('1.0'), other.key), ['ocmf.curve-differs'])
  assert.equal(rules(bare('0.3'), other.key), [])
  assert.equal(rules(signed(payloadOf(), station, { SA: undefined })), [])
})

test('ways of signing: other hashes by name, unknown ones refused, the signed name before the unsigned', () => {
  assert.equal(rules(signed(payloadOf(), station, { SA: 'ECDSA-secp256r1-SHA384' })), ['ocmf.signature'])
  for (const SA of ['ECDSA-secp256r1-SHA1', 'RSA-2048-SHA256', 'ECDSA-secp256r1', 'ecdsa-secp256r1-sha256', ''])
    assert.equal(rules(signed(payloadOf(), station, { SA })), ['ocmf.algorithm'], SA)
  const within = payloadOf({ FV: '0.4', SA: 'ECDSA-secp256r1-SHA256' })
  assert.equal(rules(signed(within, station, { SA: undefined })), [])
  assert.equal(rules(signed(within, station, { SA: 'ECDSA-secp256k1-SHA256' })), ['ocmf.algorithm-conflict'])
  for (const [curve, SA] of [
    ['brainpoolP256r1', 'ECDSA-brainpool256r1-SHA256'],
    ['brainpoolP384r1', 'ECDSA-brainpool384r1-SHA256'],
  ] as const)
    assert.equal(rules(signed(payloadOf(), stationOn(curve), { SA }), stationOn(curve).key), [], SA)
})

test('a signature is hex of one case or canonical base64, strict DER within, and nothing else', () => {
  const record = signed(payloadOf())
  const SD = (JSON.parse(record.split('|')[2]!) as { SD: string }).SD
  const base64 = Buffer.from(SD, 'hex').toString('base64')
  const withSd = (section: object) =>
    rules(`OCMF|${payloadOf()}|${JSON.stringify({ SA: 'ECDSA-secp256r1-SHA256', ...section })}`)
  assert.equal(withSd({ SD: SD.toUpperCase() }), [])
  assert.equal(withSd({ SD: base64, SE: 'base64' }), [])
  assert.equal(withSd({ SD, SM: 'application/x-der', SE: 'hex' }), [])
  assert.equal(withSd({ SD: SD.replace(/[a-f]/, letter => letter.toUpperCase()) }), ['ocmf.signature-encoding'])
  for (const text of [` ${SD}`, SD.slice(1), `0x${SD}`, '', base64])
    assert.is(withSd({ SD: text })[0], text === '' ? 'ocmf.signature-der' : 'ocmf.signature-encoding', text)
  assert.equal(withSd({ SD: `${base64}=`, SE: 'base64' }), ['ocmf.signature-encoding'])
  assert.equal(withSd({ SD, SE: 'Hex' }), ['ocmf.field'])
  assert.equal(withSd({ SD, SM: 'application/json' }), ['ocmf.field'])
  assert.equal(withSd({}), ['ocmf.field-missing'])
  // r and s bare, a byte behind, a length in the long form, a needless zero, a negative number.
  const der = Buffer.from(SD, 'hex')
  const long = Buffer.concat([Buffer.of(0x30, 0x81, der[1]!), der.subarray(2)])
  const zero = Buffer.concat([Buffer.of(0x30, der[1]! + 1, 2, der[3]! + 1, 0), der.subarray(4)])
  for (const bytes of [Buffer.alloc(64, 1), Buffer.concat([der, Buffer.of(0)]), long, zero])
    assert.equal(withSd({ SD: bytes.toString('hex') }), ['ocmf.signature-der'], bytes.toString('hex'))
  assert.equal(withSd({ SD: '3006020180020101' }), ['ocmf.signature-der'])
  assert.equal(withSd({ SD: '3006020100020100' }), ['ocmf.signature'])
})

test('the twin of a signature is valid too, and changes nothing that is said', () => {
  // Order of P-256 (SEC 2 section 2.4.2).
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const record = signed(payloadOf())
  const SD = (JSON.parse(record.split('|')[2]!) as { SD: string }).SD
  const der = Buffer.from(SD, 'hex')
  const at = 4 + der[3]!
  const s = n - BigInt(`0x${der.subarray(at + 2).toString('hex')}`)
  const digits = s.toString(16).padStart(64, '0')
  const integer = Number.parseInt(digits[0]!, 16) > 7 ? `00${digits}` : digits.replace(/^(?:00(?=[0-7]))+/, '')
  const body = `${der.subarray(2, at).toString('hex')}02${(integer.length / 2).toString(16)}${integer}`
  const twin = record.replace(SD, `30${(body.length / 2).toString(16)}${body}`)
  const [a, b] = [record, twin].map(text => verifyOcmf([text], station.key, verifier))
  assert.not(record === twin)
  assert.equal(a, b)
})

test('a key is read in every form that is in use; without one nothing is authentic', () => {
  const record = signed(payloadOf())
  const spki = Buffer.from(station.key, 'hex')
  const pem = createPublicKey(station.privateKey as never).export({ type: 'spki', format: 'pem' }) as string
  const forms = [
    station.key.toUpperCase(),
    station.key.replace(/(..)/g, '$1 '),
    station.key.replace(/(.{4})/g, '$1\n'),
    spki.toString('base64'),
    pem,
  ]
  const fingerprints = forms.map(key => verifyOcmf([record], key, verifier).who?.fingerprint)
  assert.is(new Set(fingerprints).size, 1)
  assert.type(fingerprints[0], 'string')
  assert.equal(
    verifyOcmf([record], undefined, verifier).broken.map(({ code }) => code),
    ['ocmf.no-key'],
  )
  for (const key of ['', 'no key', '00', spki.subarray(1).toString('hex'), `${station.key}00`, 'ab'.repeat(5000)])
    assert.not(verifyOcmf([record], key, verifier).authentic, key.slice(0, 20))
  assert.equal(rules(record, stationOn('secp256k1').key), ['ocmf.curve-differs'])
})

test('a bare point takes its curve from the record, and the verdict says so', () => {
  for (const curve of CURVE_NAMES) {
    const { key } = stationOn(curve)
    const record = signed(payloadOf(), stationOn(curve))
    const bytes = { '192': 24, '256': 32, '384': 48 }[curve.match(/\d{3}/)![0]]!
    const xy = key.slice(-4 * bytes)
    const compressed = (Number.parseInt(xy.slice(-1), 16) % 2 === 0 ? '02' : '03') + xy.slice(0, 2 * bytes)
    for (const point of [xy, `04${xy}`, compressed]) {
      const second = signed(payloadOf({ PG: 'F1' }, { ...BEGIN, TX: undefined }), stationOn(curve))
      const verdict = verifyOcmf([record, second], point, verifier)
      assert.ok(verdict.ok, `${curve} ${point}`)
      assert.equal(
        verdict.notes.map(({ code }) => code),
        ['ocmf.curve-unsigned'],
      )
    }
  }
  // The same coordinates on another curve of their size are no point, or another key.
  const xy = station.key.slice(-128)
  assert.equal(rules(signed(payloadOf(), station, { SA: 'ECDSA-secp256k1-SHA256' }), xy), ['ocmf.signature'])
  assert.equal(rules(signed(payloadOf(), station, { SA: 'ECDSA-secp384r1-SHA256' }), xy), ['key.curve-unknown'])
})

test('a key that names no curve of the seven, or its curve by parameters, is refused', () => {
  // secp521r1, and the head of an RSA key.
  const p521 = `30819b301006072a8648ce3d020106052b81040023038186 0004 ${'01'.repeat(132)}`
  assert.is((readPublicKey(p521) as { fault: { code: string } }).fault.code, 'key.unsupported')
  const rsa = '305c300d06092a864886f70d0101010500034b003048024100'.padEnd(188, '1')
  assert.is((readPublicKey(rsa) as { fault: { code: string } }).fault.code, 'key.unsupported')
})

test('every revision from 0.1 to 1.4 is read, others are not', () => {
  for (const FV of ['0.1', '0.2', '0.3', '0.4', '0.5', '1.0', '1.1', '1.2', '1.3', '1.4'])
    assert.equal(rulesBroken(payloadOf({ FV })), [], FV)
  for (const FV of ['0.0', '0.6', '1.5', '2.0', '1', '1.0.2', '01.0', ' 1.0', '', 'x'])
    assert.equal(rulesBroken(payloadOf({ FV })), ['ocmf.version'], FV)
  assert.equal(rulesBroken(payloadOf({ FV: undefined })), ['ocmf.version'])
  assert.equal(rulesBroken(payloadOf({ FV: 1.0 })), ['ocmf.field', 'ocmf.version'])
})

test('the names of old revisions mean what their successors mean', () => {
  const old = payloadOf({ FV: '0.2', GI: undefined, VI: 'maker', VV: '2.1', IS: 'TRUSTED', IL: undefined })
  assert.equal(rulesBroken(old), [])
  const { payload } = parseOcmf(signed(old)).record!
  assert.equal([payload.GI, payload.GV, payload.IL, payload.IS], ['maker', '2.1', 'TRUSTED', undefined])
  assert.equal(rulesBroken(payloadOf({ FV: '0.2', IS: 'MISMATCH', IL: undefined })), ['ocmf.identification'])
  assert.equal(rulesBroken(payloadOf({ FV: '1.0', IS: 'TRUSTED' })), ['ocmf.field'])
})

test('what an entry leaves out stands as before it, but for its values', () => {
  const later = { TM: END.TM, TX: 'E', RV: 110.75 }
  const [transaction] = judged(payloadOf({}, BEGIN, later)).transactions
  assert.is(transaction!.energies[0]!.value, 1025n)
  // An entry without a value reports an event: the old value is no new one.
  const silent = judged(payloadOf({}, BEGIN, { TM: END.TM, TX: 'E' }))
  assert.equal(
    silent.broken.map(({ code }) => code),
    ['ocmf.not-ended'],
  )
  // Flags last until they are taken back.
  assert.equal(rulesBroken(payloadOf({}, { ...BEGIN, EF: 'E' }, later)), ['ocmf.error-flags', 'ocmf.error-flags'])
})

test('fields that are wrong or missing are named, all of them', () => {
  const broken = judged(
    payloadOf({ PG: 'T07', GS: 5, MS: undefined }, { ...BEGIN, TM: 'noon', ST: 'g' }, { RV: true }),
  ).broken
  assert.equal(
    broken.map(fault => `${fault.code} ${fault['field'] ?? ''}`.trim()),
    [
      'ocmf.field PG',
      'ocmf.field GS',
      'ocmf.serial-missing',
      'ocmf.field RD[0].ST',
      'ocmf.field RD[0].TM',
      'ocmf.field-missing RD[0].ST',
      'ocmf.field RD[1].RV',
      'ocmf.field RD[1].TM',
      'ocmf.field-missing RD[1].ST',
    ],
  )
  const rulesOf = (over: object, ...entries: object[]) =>
    judged(payloadOf(over as never, ...(entries as never[]))).broken.map(
      fault => `${fault.code} ${fault['field'] ?? ''}`,
    )
  assert.equal(rulesOf({ RD: [] }), ['ocmf.field-missing RD'])
  assert.equal(rulesOf({ RD: {} }), ['ocmf.field RD', 'ocmf.field-missing RD'])
  assert.equal(rulesOf({}, { ...BEGIN, RU: undefined }, END), ['ocmf.field-missing RD[0].RU'])
  assert.equal(rulesOf({}, BEGIN, { ...END, RI: undefined }), ['ocmf.field-missing RD[1].RI'])
  assert.equal(rulesOf({}, { ...BEGIN, RI: 'energy' }, END), ['ocmf.field RD[0].RI'])
  assert.equal(rulesOf({}, { ...BEGIN, RV: 'much' }, END), ['ocmf.field RD[0].RV'])
  assert.equal(rulesOf({}, { ...BEGIN, TX: undefined }, END), ['ocmf.field-missing RD[0].TX'])
  assert.equal(rulesOf({ PG: 'F7' }, BEGIN, END), [
    'ocmf.reason-unexpected RD[0].TX',
    'ocmf.reason-unexpected RD[1].TX',
  ])
  assert.equal(rulesOf({ LC: { LN: 'cable', LR: 2 } }), ['ocmf.field-missing LC.LU'])
  assert.equal(rulesOf({ LC: { LN: 'cable', LI: 1, LR: 2, LU: 'mOhm' }, TT: 'day', CF: '1.2' }), [])
  assert.equal(rulesOf({ IF: 'RFID_NONE' }), ['ocmf.field IF'])
  assert.equal(rulesOf({ U: [{ anything: null }], XV: 3 }), [])
})

test('what would move a terminal cursor is neither taken as a serial or user nor repeated by a fault', () => {
  const sly = 'x\u001b[2J\n1000 kWh \u202e'
  for (const over of [{ GS: sly }, { MS: sly }, { ID: sly }])
    assert.equal(rulesBroken(payloadOf(over)), ['ocmf.field'], JSON.stringify(over))
  assert.equal(rulesBroken(payloadOf({ TT: 'day\nnight', GI: 'Zo\u00eb \u{1f50c}' })), [])
  for (const payload of [
    payloadOf({ GS: sly }),
    payloadOf({ FV: sly }),
    payloadOf({ PG: sly }),
    payloadOf({}, { ...BEGIN, TM: sly, RI: sly }),
    `{${JSON.stringify(sly)}:1,${JSON.stringify(sly)}:2}`,
  ]) {
    const { broken } = judged(payload)
    assert.ok(broken.length > 0)
    for (const fault of broken) assert.not.match(Object.values(fault).join(''), /[\p{Cc}\p{Cf}]/u)
  }
  assert.not.match(
    JSON.stringify(verifyOcmf([signed(payloadOf(), station, { SA: sly })], station.key, verifier).broken),
    /\\u001b/,
  )
})

test('a fault repeats little of a long text', () => {
  const [fault] = judged(payloadOf({}, { ...BEGIN, TM: 'x'.repeat(9000) })).broken
  assert.ok(String(fault!['found']).length < 70)
})

test.run()
