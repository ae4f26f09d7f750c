/** Configurations that are wrong in one way each, made of right ones, the same each time. */
import { seededRandom } from '../../../hw/sim/random.ts'

export interface Mutant {
  readonly what: string
  readonly text: string | Uint8Array
}

type Random = () => number
/** The text made wrong, or undefined where it has nothing of that kind. */
type Mutation = (text: string, random: Random) => string | Uint8Array | undefined

const pick = <T>(items: readonly T[], random: Random): T | undefined => items[Math.floor(random() * items.length)]

/** One of the matches replaced. */
const replaced =
  (pattern: RegExp, by: string): Mutation =>
  (text, random) => {
    const found = pick([...text.matchAll(pattern)], random)
    if (found === undefined) return undefined
    const now = found[0].replace(new RegExp(pattern.source, pattern.flags.replace('g', '')), by)
    return text.slice(0, found.index) + now + text.slice(found.index + found[0].length)
  }

const appended =
  (more: string): Mutation =>
  text =>
    `${text}${more}\n`

/** Lines that hold one setting of a group that knows its settings, outside of braces. */
const SETTING =
  /^( +)(unit|page|protocol|serial|baud|slot|energy|meter|chain|height|hash|limit|opening|reserve|fuse|side|peer): .*$/gm
const HASH = 'cd'.repeat(32)

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'unknown key': replaced(SETTING, '$&\n$1zzz: 1'),
  'misspelt key': replaced(SETTING, '$1$2x: 1'),
  'key left out': replaced(/^(site|role|data|keys): ?.*\n/gm, ''),
  'list for a value': replaced(SETTING, '$1$2: [a, b]'),
  'group for a value': replaced(SETTING, '$1$2: {a: b}'),
  'text for a group': replaced(/^(ledger|keys|trade|meters|lines|relays|page|safety):\n( .*\n|\n)+/gm, '$1: text\n'),
  'value left out': replaced(SETTING, '$1$2:'),
  'unit out of range': replaced(/\bunit: \d+/g, 'unit: 999'),
  'interval out of range': replaced(/\bevery: \w+/g, 'every: 1ms'),
  'port out of range': appended('page: {listen: 127.0.0.1:99999}'),
  'voltage of another unit': replaced(/207V/g, '207A'),
  'a comma for a point': replaced(/\b(opening|reserve|tariff|limit): 0\.(\d+)/g, '$1: "0,$2"'),
  'an unknown word': replaced(/\brole: \w+/g, 'role: castle'),
  'a line that is not there': replaced(/\bline: (rs485|meters|lan|p1|mbus|switch|wallbox)\b/g, 'line: nowhere'),
  'a meter that is not there': replaced(/\bmeter: (grid|L1)\b/g, 'meter: nowhere'),
  'a peer that is not there': replaced(/\bpeer: \w+/g, 'peer: nobody'),
  'a page that is not there': replaced(/\bpage: [\w-]+/g, 'page: acme-9000'),
  'a bank that is not there': replaced(/\bboard\.1\b/g, 'bank.1'),
  'a key twice': replaced(SETTING, '$&\n$&'),
  'a section twice': replaced(/^(site|role|data): .*$/gm, '$&\n$&'),
  'this site among its peers': replaced(/^ {2}(cedar|maple|volta|gridco):/gm, '  SELF:'),
  'a peer with the keys of another': replaced(/^peers:\n {2}\w+:.*\n( {4}.*\n)*/gm, '$&TWIN'),
  'a unit twice': replaced(/\bunit: (2|20|40)\b/g, 'unit: 1'),
  'indented too far': replaced(SETTING, '   $&'),
  'indented too little': replaced(/^ {4}(line|page|protocol|height|side): .*$/gm, ' $1: x'),
  'a tab': replaced(/^ {2}(?=\w)/gm, '\t'),
  'a brace left open': appended('safety: {voltage_min: 207V'),
  'a quote left open': replaced(/^site: (\w+)$/gm, 'site: "$1'),
  'an alias': replaced(/^site: (\w+)$/gm, 'site: &s $1\nboard: *s'),
  'a bomb of aliases': text =>
    `a0: &a0 [x]\n${Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}]`).join('\n')}\n${text}`,
  'a merge of a group': replaced(/^trade:$|^page:$|^grid:$/gm, '$&\n  <<: {a: 1}'),
  'a tag': replaced(/^site: /gm, 'site: !secret '),
  'another document behind it': appended('---\nsite: other'),
  'a control character': replaced(/^data: \//gm, 'data: \u0000/'),
  'an escaped one': replaced(/^data: .*$/gm, 'data: "/a\\0b"'),
  'a name that reaches into every object': appended('__proto__: {role: storage}'),
  'another encoding': text => new Uint8Array(Buffer.from(`# Stra\u00dfe\n${text}`, 'latin1')),
  'two bytes for a letter': text => new Uint8Array(Buffer.from(`\ufeff${text}`, 'utf16le')),
  'cut in the middle of a letter': text => new Uint8Array([...Buffer.from(`${text}# caf`), 0xc3]),
  huge: text => `${text}${'# and so on\n'.repeat(90_000)}`,
  'many keys': text => `${text}${Array.from({ length: 3_000 }, (_, n) => `k${n}: 1\n`).join('')}`,
  'nested without end': text => `${text}board: ${'['.repeat(5_000)}`,
  'nested too deep': text => `${text}board: ${'['.repeat(40)}${']'.repeat(40)}\n`,
  nothing: () => '',
  'comments alone': () => '# soon\n',
  'a list': () => '- site: maple\n',
  'a newer version': replaced(/^version: 1/gm, 'version: 2'),
  'a version of words': replaced(/^version: 1/gm, 'version: newest'),
  'a broker of another kind': replaced(/mqtts?:\/\//g, 'ftp://'),
  'a hash too short': replaced(/hash: \w{64}/g, `hash: ${HASH.slice(1)}`),
}

/** `bases` by name; each mutation of each, in an order that the seed gives, as many as are wanted. */
export function mutants(bases: ReadonlyMap<string, string>, count: number, seed: number): readonly Mutant[] {
  const random = seededRandom(seed)
  const made: Mutant[] = []
  const seen = new Set<string>()
  for (let round = 0; made.length < count && round < 20; round++) {
    for (const [what, mutate] of Object.entries(MUTATIONS)) {
      const [name, base] = pick([...bases], random)!
      const site = /^site: (\w+)/m.exec(base)?.[1] ?? ''
      const text = mutate(base, random)
      if (text === undefined) continue
      const whole = typeof text === 'string' ? twin(text.replace('SELF:', `${site}:`)) : text
      const key = String(whole)
      if (seen.has(key) || key === base || made.length >= count) continue
      seen.add(key)
      made.push({ what: `${what} in ${name}`, text: whole })
    }
  }
  return made
}

/** `TWIN` behind the first peer becomes another one with its keys. */
function twin(text: string): string {
  const first = /^peers:\n( {2}\w+:)(.*\n(?: {4}.*\n)*)TWIN/m.exec(text)
  return first === null ? text : text.replace('TWIN', `  twin:${first[2]}`)
}
