/** Configuration text to a `SiteConfig`, or every mistake in it as file:line:column, what is wrong and what was meant. */

import { PAGES } from '../../drivers/meters/catalogue.ts'
import { checkCharging } from './charging-checks.ts'
import { checkCoins } from './coin-checks.ts'
import { checkGrid } from './grid-checks.ts'
import { checkLedger } from './ledger-checks.ts'
import { IEC_FORMATS, saidFraming } from './line-settings.ts'
import { CONFIG_VERSION, type Migrated, migrate, versionOf } from './migrate.ts'
import { nearest } from './nearest.ts'
import { checkPage } from './page-config.ts'
import { checkPeers } from './peer-checks.ts'
import { type Read, type ReferenceIssue, readForm } from './read-form.ts'
import { checkRelays } from './relay-checks.ts'
import type { ContactRef } from './relay-config.ts'
import { readSchema } from './schema.ts'
import { checkServices } from './service-checks.ts'
import type { Role, SiteConfig } from './site-config.ts'
import { type Path, readYaml } from './yaml.ts'

export type Loaded = Read<SiteConfig>

/** They may stand for others' energy only: what they do needs no meter of their own. */
const WITHOUT_METERS: ReadonlySet<Role> = new Set<Role>([
  'distributor',
  'regulator',
  'community',
  'retailer',
  'aggregator',
  'validator',
])

/**
 * A text of an older version is read as what `migrate` makes of it, and its mistakes are shown where they stand in the text as
 * it is: a program that was brought up to date must not stop over a file that it can still understand, and one that was
 * taken back again must find the file that it knew.
 */
export function loadConfig(text: string, file: string): Loaded {
  if (PRESENT.test(text)) return read(text, file)
  const version = versionOf(text)
  if (version !== undefined && version > CONFIG_VERSION) {
    const place = readYaml(text).yaml!.place(['version'], 'value')
    const what = `version is ${version}: this program reads versions up to ${CONFIG_VERSION}`
    return { ok: false, faults: [{ code: 'config.version', file, ...place, what, hint: 'run a newer program' }] }
  }
  const older = migrate(text)
  if (older === undefined) return read(text, file)
  const loaded = read(older.text, file)
  if (loaded.ok) return loaded
  const placed = loaded.faults.map(fault => ({ ...fault, line: lineBefore(fault.line, older) }))
  return { ok: false, faults: placed }
}

/** Nearly every file: its text need not be parsed for the version alone. */
const PRESENT = new RegExp(`^\\s*["']?version["']?\\s*:\\s*["']?${CONFIG_VERSION}["']?\\s*,?\\s*(#.*)?$`, 'm')

/** Where a line of the new text stands in the old one; of an added line, what it was added before. */
const lineBefore = (line: number, { added }: Migrated): number => line - added.filter(at => at < line).length

const read = (text: string, file: string): Loaded =>
  readForm<SiteConfig>(text, file, {
    called: 'a configuration',
    read: value => {
      const { config, issues } = readSchema(value)
      return { ...(config === undefined ? {} : { value: config }), issues }
    },
    check: crossChecks,
  })

/** Of a table that may have as many as the file has lines. */
const NAMES_MOST = 40
const KNOWN_PAGES = Object.fromEntries(PAGES)

interface FirstMeters {
  /** Two, so that each can be told of another. */
  readonly any: string[]
  framed?: string
  /** Not of M-Bus. */
  other?: string
}

/** The first meters of each line, by its name: nobody looks through all for each. */
function firstMeters(meters: SiteConfig['meters']): ReadonlyMap<string, FirstMeters> {
  const lines = new Map<string, FirstMeters>()
  for (const [name, meter] of Object.entries(meters)) {
    const first = lines.get(meter.line) ?? { any: [] }
    lines.set(meter.line, first)
    if (first.any.length < 2) first.any.push(name)
    if (saidFraming(meter) !== undefined) first.framed ??= name
    if (meter.protocol !== 'mbus') first.other ??= name
  }
  return lines
}

/** What no single setting can know of itself: names that must exist elsewhere, and settings that go together. */
function crossChecks(config: SiteConfig): readonly ReferenceIssue[] {
  const issues: ReferenceIssue[] = []
  const report = (path: Path, what: string, hint?: string | (() => string)) =>
    issues.push({ kind: 'reference', path, what, ...(hint === undefined ? {} : { hint }) })
  const refer = (path: Path, kind: string, name: string, table: object) => {
    if (Object.hasOwn(table, name)) return
    report(path, `names the ${kind} "${name}", which is not defined`, () => {
      const known = Object.keys(table)
      const meant = nearest(name, known)
      if (meant !== undefined) return `did you mean "${meant}"?`
      const more = known.length > NAMES_MOST ? ` and ${known.length - NAMES_MOST} more` : ''
      return known.length === 0 ? `no ${kind} is defined` : `defined: ${known.slice(0, NAMES_MOST).join(', ')}${more}`
    })
  }
  const firstOn = firstMeters(config.meters)

  if (!config.bench) {
    if (config.keys.kind === 'seed')
      report(['keys', 'seed'], 'is for a bench only', 'name key files, or set bench: true')
    if (config.clock !== undefined) report(['clock'], 'is for a bench only', 'leave it out, or set bench: true')
  }

  for (const [name, meter] of Object.entries(config.meters)) {
    refer(['meters', name, 'line'], 'line', meter.line, config.lines)
    const line = config.lines[meter.line]
    if ('page' in meter) refer(['meters', name, 'page'], 'page', meter.page, KNOWN_PAGES)
    if (meter.protocol === 'modbus-tcp' && line?.kind === 'serial') {
      report(
        ['meters', name, 'protocol'],
        `cannot run on "${meter.line}", a serial line`,
        'use modbus-rtu, or a tcp line',
      )
    }
    const said = saidFraming(meter)
    if (said !== undefined) {
      const at = ['meters', name, 'page' in meter ? 'protocol' : 'framing']
      if (said === 'tcp' && line?.kind === 'serial' && !('page' in meter))
        report(at, `is tcp, but "${meter.line}" is a serial line`)
      const first = firstOn.get(meter.line)!.framed!
      if (saidFraming(config.meters[first]!) !== said)
        report(at, `differs from that of ${first} on "${meter.line}"`, 'all on one line are framed alike')
    }
    if (meter.protocol === 'iec62056') {
      if (line?.kind === 'serial' && !IEC_FORMATS.includes(line.format))
        report(
          ['lines', meter.line, 'format'],
          `is not for ${name}: iec62056 is 7 bits and even parity`,
          `one of ${IEC_FORMATS.join(', ')}`,
        )
      if (meter.mode === 'pushed' && meter.address !== undefined)
        report(['meters', name, 'address'], 'is for a meter that is asked', 'leave it out, or mode: pushed')
    }
    if (!('unit' in meter)) {
      const { any, other: otherProtocol } = firstOn.get(meter.line)!
      const other = meter.protocol === 'mbus' ? otherProtocol : any.find(one => one !== name)
      if (other !== undefined)
        report(
          ['meters', name, 'line'],
          `is also the line of ${other}`,
          'Modbus slaves can share a line, and M-Bus meters',
        )
    }
  }
  if (Object.keys(config.meters).length === 0 && !WITHOUT_METERS.has(config.role))
    report(['meters'], 'must name at least one meter')

  const units = new Map<string, string>()
  const claimUnit = (path: Path, line: string, unit: number) => {
    const other = units.get(`${line} ${unit}`)
    if (other !== undefined)
      report(path, `is also the unit of ${other} on "${line}"`, 'two devices would answer at once')
    else units.set(`${line} ${unit}`, path.slice(0, -1).join('.'))
  }
  for (const [name, meter] of Object.entries(config.meters)) {
    if ('unit' in meter) claimUnit(['meters', name, 'unit'], meter.line, meter.unit)
  }
  checkRelays(config, report, refer, claimUnit)
  checkCharging(config, report, refer, claimUnit)

  const contacts = new Map<string, string>()
  const ids = new Set<string>()
  const lineMeters = new Map<string, string>()
  for (const [index, line] of config.directLines.entries()) {
    const at = (...rest: Path): Path => ['direct_lines', index, ...rest]
    if (ids.has(line.id)) report(at('id'), `"${line.id}" is already the id of another direct line`)
    ids.add(line.id)
    refer(at('peer'), 'peer', line.peer, config.peers)
    refer(at('meter'), 'meter', line.meter, config.meters)
    const shared = lineMeters.get(line.meter)
    if (shared !== undefined)
      report(at('meter'), `is already the line meter of ${shared}`, 'each line end has its own meter')
    lineMeters.set(line.meter, line.id)
    for (const [role, ref] of Object.entries(line.contacts) as [string, ContactRef][]) {
      refer(at('contacts', role), 'relay bank', ref.bank, config.relays)
      const contact = `${ref.bank}.${ref.channel}`
      // Lines onto one separable circuit share the contact of its own supply, and nothing else.
      const use = role === 'own' && line.circuit !== undefined ? `${line.circuit.name} (own)` : `${line.id} (${role})`
      const other = contacts.get(contact)
      if (other !== undefined && other !== use) report(at('contacts', role), `is already the contact of ${other}`)
      else contacts.set(contact, use)
    }
    if (line.side === 'buyer') {
      if (line.contacts.own === undefined) {
        report(
          at('contacts'),
          'must name "own", the circuit\'s own supply',
          'the changeover opens it before the line closes',
        )
      }
      if (config.trade.buy === undefined) report(at('side'), 'is buyer, but trade.buy sets no limit price')
    } else {
      if (line.contacts.own !== undefined) {
        report(at('contacts', 'own'), 'is only for the buyer, who switches the circuit over')
      }
      if (config.trade.sell === undefined) report(at('side'), 'is seller, but trade.sell sets no reserve price')
    }
  }

  checkGrid(config, report, refer)
  checkPage(config.page, report)
  checkServices(config, report, refer)
  checkCoins(config, report, refer)
  checkLedger(config, report)
  for (const [section, terms] of Object.entries({ trade: config.trade, grid: config.grid })) {
    const { sell, buy } = terms ?? {}
    if (sell !== undefined && sell.opening < sell.reserve)
      report([section, 'sell', 'opening'], 'is below the reserve price')
    if (buy !== undefined && buy.opening > buy.limit) report([section, 'buy', 'opening'], 'is above the limit')
  }
  for (const [low, high] of [
    ['voltage', [config.safety.voltageMinMv, config.safety.voltageMaxMv]],
    ['frequency', [config.safety.frequencyMinMhz, config.safety.frequencyMaxMhz]],
  ] as const) {
    if (high[0] !== undefined && high[1] !== undefined && high[0] >= high[1]) {
      report(['safety', `${low}_min`], `is not below ${low}_max`)
    }
  }
  checkPeers(config, report)
  return issues
}
