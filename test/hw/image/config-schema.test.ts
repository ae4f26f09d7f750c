/** The published schema against the program that reads configurations; judged by ajv. */
import { readFileSync } from 'node:fs'
import { Ajv, type ValidateFunction } from 'ajv'
import { parse } from 'yaml'
import * as forms from '../../../agent/config/literal-forms.ts'
import * as literals from '../../../agent/config/literals.ts'
import { loadConfig } from '../../../agent/config/load.ts'
import { configLine } from '../../../agent/config/read-form.ts'
import { configSchema, SCHEMA_FILE } from '../../../hw/image/config-schema.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import { configCorpus } from './config-corpus.ts'

const test = suite('config schema')

const schema = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8'))
/** `strictTypes`: a setting may be text or a number, whose bounds ajv would have in schemas of their own. */
const ajv = new Ajv({ allErrors: true, strict: true, strictTypes: false, strictSchema: true })
const accepts: ValidateFunction = ajv.compile(schema)

/** As an editor reads it: numbers and flags are what they look like. */
const asEditorsRead = (text: string): unknown => parse(text, { schema: 'core' })

const corpus = configCorpus()
const valid = [...corpus].filter(([name, text]) => loadConfig(text, name).ok)

test('the published file is what the program makes', () => {
  assert.is(readFileSync(SCHEMA_FILE, 'utf8'), configSchema(), 'npm run schema')
})

test('every configuration that loads has the form', () => {
  for (const [name, text] of valid) {
    assert.ok(accepts(asEditorsRead(text)), `${name}: ${JSON.stringify(accepts.errors?.slice(0, 3))}`)
  }
  assert.ok(valid.length >= 20, `${valid.length} of ${corpus.size} load`)
})

test('what the repository ships loads', () => {
  for (const [name, text] of corpus) {
    if (!name.startsWith('hw/')) continue
    const loaded = loadConfig(text, name)
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(configLine).join('\n'))
  }
})

/** Settings of a configuration: where each stands, and what it is. */
function places(value: unknown, path: readonly (string | number)[] = []): readonly (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  const inside = Object.entries(value).flatMap(([key, item]) =>
    places(item, [...path, Array.isArray(value) ? Number(key) : key]),
  )
  return path.length === 0 ? inside : [path, ...inside]
}

/** A copy with one place changed; `change` gets what holds it, and its key. */
function mutated(
  value: unknown,
  path: readonly (string | number)[],
  change: (holder: never, key: never) => void,
): unknown {
  const copy = structuredClone(value)
  const holder = path.slice(0, -1).reduce((at, key) => (at as Record<string | number, unknown>)[key], copy)
  change(holder as never, path.at(-1) as never)
  return copy
}

type Holder = Record<string, unknown>
const MUTATIONS: Readonly<Record<string, (holder: Holder, key: string) => void>> = {
  'left out': (holder, key) => delete holder[key],
  'unknown key': (holder, key) => {
    holder[`${key}_`] = holder[key]
    delete holder[key]
  },
  'other text': (holder, key) => {
    holder[key] = '~ no ~'
  },
  list: (holder, key) => {
    holder[key] = ['a']
  },
  group: (holder, key) => {
    holder[key] = { zzz: 'a' }
  },
  nothing: (holder, key) => {
    holder[key] = ''
  },
  'too much': (holder, key) => {
    holder[key] = '999999999999'
  },
}
const STRUCTURAL = new Set(['config.unknown', 'config.missing', 'config.invalid'])

test('of what the program refuses for its form, the schema refuses 95 in 100', () => {
  const met = { refused: 0, both: 0 }
  const slips = new Map<string, number>()
  // A site of each role, and one of the street: the others have nothing that these have not.
  for (const [name, text] of valid.filter(([name]) => /^hw\/examples|^street 1 cedar/.test(name))) {
    const value = parse(text, { schema: 'failsafe' })
    for (const path of places(value)) {
      // The schema is of this version; the program reads a file without one as of the version before.
      if (path[0] === 'version') continue
      for (const [kind, change] of Object.entries(MUTATIONS)) {
        const wrong = JSON.stringify(mutated(value, path, change as never))
        const loaded = loadConfig(wrong, name)
        const accepted = accepts(JSON.parse(wrong)) as boolean
        // What loads has the form, whatever was done to it.
        if (loaded.ok)
          assert.ok(accepted, `${name}: ${kind} at ${path.join('.')}: ${JSON.stringify(accepts.errors?.[0])}`)
        if (loaded.ok || !loaded.faults.every(({ code }) => STRUCTURAL.has(code))) continue
        met.refused++
        if (!accepted) met.both++
        else slips.set(`${kind} ${path.at(-1)}`, (slips.get(`${kind} ${path.at(-1)}`) ?? 0) + 1)
      }
    }
  }
  const share = met.both / met.refused
  if (process.env['TIELINE_SHOW'])
    process.stdout.write(`${JSON.stringify(met)} ${share} ${JSON.stringify([...slips])}\n`)
  assert.ok(met.refused > 2000, String(met.refused))
  assert.ok(share >= 0.95, `${met.both} of ${met.refused}; not ${[...slips.keys()].slice(0, 20).join(', ')}`)
}, 300_000)

test('a schema that lets unknown keys pass would be found', () => {
  const open = JSON.parse(
    readFileSync(SCHEMA_FILE, 'utf8').replaceAll('"additionalProperties": false', '"additionalProperties": true'),
  )
  const lax = new Ajv({ strict: false }).compile(open)
  const value = { ...(asEditorsRead(valid[0]![1]) as object), unknown: 1 }
  assert.ok(lax(value))
  assert.not(accepts(value))
})

test('every default and every example has the form of its own setting, and every setting has its line', () => {
  let settings = 0
  const walk = (node: unknown, at: string): void => {
    if (typeof node !== 'object' || node === null) return
    const {
      properties,
      examples = [],
      default: usual,
    } = node as {
      properties?: Record<string, { description?: string }>
      examples?: unknown[]
      default?: unknown
    }
    const own = new Ajv({ strict: false }).compile(node)
    for (const each of [...examples, ...(usual === undefined ? [] : [usual])])
      assert.ok(own(each), `${at}: ${JSON.stringify(each)} ${JSON.stringify(own.errors)}`)
    for (const [key, setting] of Object.entries(properties ?? {})) {
      settings++
      assert.match(setting.description ?? '', /^[A-Z].*\.$/s, `${at}.${key} says nothing of itself`)
      walk(setting, `${at}.${key}`)
    }
    const { additionalProperties, items, anyOf = [], oneOf = [], propertyNames } = node as Record<string, unknown[]>
    for (const inside of [additionalProperties, items, propertyNames, ...anyOf, ...oneOf]) walk(inside, `${at}.*`)
  }
  walk(schema, '$')
  assert.ok(settings > 300, String(settings))
}, 300_000)

/** What is read, by what is said of its form. */
const FORMS: readonly (readonly [string, (text: string) => unknown, forms.Form])[] = [
  ['duration', literals.parseDuration, forms.DURATION],
  ['bytes', literals.parseBytes, forms.BYTES],
  ['current', literals.parseCurrent, forms.CURRENT],
  ['power', literals.parsePower, forms.POWER],
  ['voltage', literals.parseVoltage, forms.VOLTAGE],
  ['frequency', literals.parseFrequency, forms.FREQUENCY],
  ['energy', literals.parseEnergy, forms.ENERGY],
  ['share', literals.parsePermille, forms.SHARE],
  ['price', literals.parsePrice, forms.PRICE],
  ['whole', literals.parseWhole, forms.whole(0, 9)],
  ['key', literals.parseHex32, forms.HEX_32],
  ['signing key', literals.parseSigningKey, forms.SIGNING_KEY],
  ['host and port', literals.parseHostPort, forms.HOST_PORT],
  ['contact', literals.parseContact, forms.CONTACT],
  ['M-Bus address', literals.parseMbusAddress, forms.MBUS_ADDRESS],
  ['broker', literals.parseUrl('mqtt:', 'mqtts:'), forms.BROKER_URL],
  ['ledger source', literals.parseLedgerSource, forms.LEDGER_SOURCE],
]

test('whatever is read as a literal has the form that is published of it', () => {
  const read = new Map<string, number>()
  const digits = fc.stringMatching(/^\d{1,4}(\.\d{1,3})?$/)
  const unit = fc.constantFrom(
    'ms',
    's',
    'min',
    'h',
    'd',
    'MB',
    'GB',
    'A',
    'mA',
    'kW',
    'W',
    'V',
    'Hz',
    'kWh',
    'Wh',
    '%',
  )
  const blank = fc.constantFrom('', ' ', '\t', '\n', '  ', '\u00a0')
  const text = fc.oneof(
    fc.tuple(digits, blank, unit).map(parts => parts.join('')),
    digits,
    fc.stringMatching(/^[0-9a-fA-F]{64}$/),
    fc.stringMatching(/^0[23][0-9a-fA-F]{64}$/),
    fc.stringMatching(/^(\[::1\]|[a-z.]{1,5}):\d{1,5}$/),
    fc.stringMatching(/^[a-z]{1,3}\.[1-9]\d?$/),
    fc.stringMatching(/^[\dFf]{8}(-[A-Za-z]{3}(-[\da-fA-F]{2}-[\da-fA-F]{2})?)?$/),
    fc
      .tuple(
        blank,
        fc.constantFrom('mqtt', 'MQTTS', 'http', 'Https'),
        fc.constantFrom('://', ':', ':/'),
        fc.stringMatching(/^[a-z]{1,4}(:\d{1,4})?$/),
      )
      .map(parts => parts.join('')),
    fc.stringMatching(/^mqtt:[a-z0-9-]{1,8}$/),
    fc.string(),
  )
  assertCovering(
    fc.property(text, given => {
      for (const [name, parseIt, form] of FORMS) {
        if (parseIt(given) === undefined) continue
        read.set(name, (read.get(name) ?? 0) + 1)
        assert.ok(
          new RegExp(form.pattern!, 'u').test(given),
          `${name} reads ${JSON.stringify(given)}, ${form.pattern} does not`,
        )
      }
    }),
    4000,
  )
  for (const [name] of FORMS) assert.ok((read.get(name) ?? 0) > 0, `no ${name} was made`)
})

test.run()
