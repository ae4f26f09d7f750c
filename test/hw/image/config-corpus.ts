/** Every configuration that this repository has, as text: the package's, the examples, the street's, and what the tests write. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { BRISK, CALM, siteConfigText } from '../../../hw/sim/site-config.ts'
import { streetOf } from '../../../hw/sim/street.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const KEY = 'ab'.repeat(32)

function filesUnder(folder: string, ending: string): readonly string[] {
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith(ending))
    .map(name => `${folder}/${name}`)
}

/** Templates of the tests, with every hole filled by a key. */
const written = (): readonly (readonly [string, string])[] =>
  filesUnder('test', '.ts').flatMap(file => {
    const text = readFileSync(`${root}${file}`, 'utf8')
    return [...text.matchAll(/`((?:#[^\n`]*\n|\s*\n)*version: 1\b[^`]*)`/g)].map(
      ([, template], n) => [`${file} ${n}`, template!.replace(/\$\{[^}]*\}/g, KEY)] as const,
    )
  })

export function configCorpus(): ReadonlyMap<string, string> {
  const shipped = [...filesUnder('hw/image/debian', '.yaml'), ...filesUnder('hw/examples', '.yaml')].map(
    file => [file, readFileSync(`${root}${file}`, 'utf8')] as const,
  )
  return new Map([...shipped, ...written(), ...street()])
}

/** What the bench and the simulator write for a street of five. */
function street(): readonly (readonly [string, string])[] {
  const key = new Uint8Array(32).fill(0xab)
  const homes = streetOf(5)
  const ledger = { trust: { height: 12n, hash: key }, primary: 'http://127.0.0.1:26657', witnesses: ['mqtt:relay-1'] }
  return [BRISK, CALM].flatMap((pace, n) =>
    homes.sites.map(site => {
      const text = siteConfigText(homes, site, {
        ...{ seed: 7, chain: 'street-1', ...ledger, relayAs: site.name, brokers: ['mqtt://127.0.0.1:1883'], pace },
        ...{ data: '/tmp/data', lineAt: () => (n === 0 ? { serial: '/dev/ttyS0' } : { tcp: '127.0.0.1:502' }) },
        keysOf: () => ({ account: key, sealing: key, metering: key }),
        clock: { originWallMs: 1_795_000_000_000, originVirtualMs: 1_795_000_000_000, speed: 10 },
        coilsOnly: n === 0,
      })
      return [`street ${n} ${site.name}`, text] as const
    }),
  )
}
