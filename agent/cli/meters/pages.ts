/** `tieline pages`: which meters this program reads, and how far its knowledge of each goes. */
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import type { Channel, MeterPage } from '../../../drivers/meters/page.ts'
import { TELEGRAMS } from '../../../drivers/meters/telegrams.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'
import { misused, unknownName } from '../usage.ts'
import { channelWords, table } from './meter-text.ts'

/** Read by the models that it says it has. */
const SUNSPEC = 'sunspec'

/** What speaks each kind of telegram, and the document that says how. */
const TELEGRAM_KINDS: Readonly<Record<string, { readonly products: string; readonly source: string }>> = {
  sml: {
    products: 'German meters with an infrared eye (EMH, ISKRA, EasyMeter, Holley, DZG, ...)',
    source: 'BSI TR-03109-1, SML',
  },
  dsmr: {
    products: 'P1 ports of Dutch, Belgian, Luxembourgish, Swedish and Austrian meters',
    source: 'DSMR P1 Companion Standard v2.2 to v5.0.2',
  },
  dlms: {
    products: 'DLMS/COSEM push (Aidon, Kaifa, Kamstrup, Landis+Gyr, Iskra, Sagemcom)',
    source: 'IEC 62056-5-3, 62056-46, Green Book',
  },
  'dlms-raw': { products: 'DLMS/COSEM push without a frame around it (Sagemcom)', source: 'IEC 62056-5-3, Green Book' },
  [SUNSPEC]: {
    products: 'inverters, batteries and meters that describe themselves (SMA, Fronius, SolarEdge, Kostal, ...)',
    source: 'SunSpec Device Information Model Specification',
  },
  iec62056: { products: 'meters with an optical port, modes A to D', source: 'IEC 62056-21' },
  mbus: { products: 'wired M-Bus meters of power, heat, gas and water', source: 'EN 13757-2, EN 13757-3' },
}

interface Entry {
  readonly name: string
  readonly kind: 'modbus' | 'telegram'
  readonly products: readonly string[]
  readonly sources: readonly { readonly title: string; readonly seen?: string }[]
  readonly replay?: MeterPage['replay']
  /** Of a telegram it is whatever the meter sends. */
  readonly reads: readonly Channel[] | 'what the meter sends'
}

const readsOf = (page: MeterPage): Channel[] => Object.keys(page.registers) as Channel[]

const pageEntry = (page: MeterPage): Entry => ({
  name: page.name,
  kind: 'modbus',
  products: page.products,
  sources: page.sources,
  replay: page.replay,
  reads: readsOf(page),
})

function telegramEntry(name: string): Entry {
  const known = TELEGRAM_KINDS[name]
  return {
    name,
    kind: name === SUNSPEC ? 'modbus' : 'telegram',
    products: known === undefined ? [] : [known.products],
    sources: known === undefined ? [] : [{ title: known.source }],
    reads: 'what the meter sends',
  }
}

/** The sources that its author has really opened: a page made from second-hand facts says so. */
const honesty = (page: MeterPage): string =>
  page.sources.some(source => source.seen === 'manual') ? 'manual seen' : 'manual not seen'

/** With `json` one line an entry on stdout. */
export function pages(name: string | undefined, json: boolean, terminal: Terminal): ExitCode {
  const names = [...PAGES.keys(), SUNSPEC, ...TELEGRAMS.keys()]
  if (name !== undefined && !names.includes(name)) return misused('pages', unknownName('page', name, names), terminal)
  const wanted = name === undefined ? names : [name]
  const pageOf = (one: string) => PAGES.get(one)
  if (json) {
    for (const one of wanted) {
      const page = pageOf(one)
      const entry = page === undefined ? telegramEntry(one) : name === undefined ? pageEntry(page) : wholePage(page)
      terminal.out(jsonLine(entry))
    }
    return EXIT.ok
  }
  const page = name === undefined ? undefined : pageOf(name)
  if (page !== undefined) terminal.out(pageText(page))
  else if (name !== undefined) terminal.out(telegramText(telegramEntry(name)))
  else terminal.out(listText(names))
  return EXIT.ok
}

const wholePage = (page: MeterPage): Entry & Record<string, unknown> => {
  const { framing, factory, identity, registers, caveats, maxRegisters } = page
  return {
    ...pageEntry(page),
    framing,
    ...(factory === undefined ? {} : { factory }),
    identity,
    maxRegisters,
    registers,
    caveats,
  }
}

function listText(names: readonly string[]): string {
  const rows = names.map(name => {
    const page = PAGES.get(name)
    if (page === undefined) return [name, telegramEntry(name).kind, '', '', telegramEntry(name).products.join(', ')]
    return [name, `modbus ${page.framing}`, honesty(page), page.replay, page.products.join(', ')]
  })
  const count = (of: (page: MeterPage) => boolean) => [...PAGES.values()].filter(of).length
  const replays = (['recorded', 'foreign', 'synthetic'] as const)
    .map(replay => `${count(page => page.replay === replay)} ${replay}`)
    .join(', ')
  return (
    table([['name', 'speaks', 'source', 'replay', 'products'], ...rows]) +
    `\n${PAGES.size} pages: manual seen of ${count(page => honesty(page) === 'manual seen')}; replays ${replays}.\n`
  )
}

function pageText(page: MeterPage): string {
  const { identity, factory } = page
  const registers = readsOf(page).map(channel => {
    const register = page.registers[channel]!
    return [
      `  ${channelWords(channel)}`,
      `${register.table} 0x${register.address.toString(16).padStart(4, '0')}`,
      register.type,
      unitText(register.unit),
    ]
  })
  const lines = [
    `${page.name}: ${page.products.join(', ')}`,
    `speaks   modbus ${page.framing}${factory === undefined ? '' : `, from the factory ${factory.baud} baud ${factory.format}, unit ${factory.unit}`}`,
    `replay   ${page.replay}`,
    `identity ${identity.table} 0x${identity.address.toString(16).padStart(4, '0')}, ${identity.count} registers, ${identity.as}`,
    'sources',
    ...page.sources.map(source => `  ${source.title} (${source.seen})`),
    'reads',
  ]
  return (
    `${lines.join('\n')}\n${table(registers)}` +
    (page.caveats.length === 0 ? '' : `caveats\n${page.caveats.map(caveat => `  ${caveat}\n`).join('')}`)
  )
}

const PREFIX: Readonly<Record<number, string>> = { 0: '', 3: 'k', 6: 'M' }

function unitText({ unit, exponent }: { readonly unit: string; readonly exponent: number }): string {
  const name = unit === '1' ? '' : unit
  const prefix = PREFIX[exponent]
  return prefix === undefined ? `10^${exponent} ${name}`.trim() : `${prefix}${name}`
}

const telegramText = ({ name, products, sources }: Entry): string =>
  [
    `${name}: ${products.join(', ')}`,
    'reads    what the meter sends',
    ...sources.map(({ title }) => `source   ${title}`),
    '',
  ].join('\n')
