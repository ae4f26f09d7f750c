/** Configuration text to a `SiteConfig`, or every mistake in it as file:line:column, what is wrong and what was meant. */

import { PAGES } from '../../drivers/meters/catalogue.ts'
import type { Fault } from '../../protocol/result.ts'
import { IEC_FORMATS, saidFraming } from './line-settings.ts'
import { nearest } from './nearest.ts'
import { readSchema } from './schema.ts'
import type { SchemaIssue } from './schema-issue.ts'
import type { ContactRef, SiteConfig } from './site-config.ts'
import { type Path, readYaml, type YamlText, type YamlValue } from './yaml.ts'

/** `hint` says what was probably meant. Line and column count from 1. */
export type ConfigFault = Fault & {
  readonly code: 'config.syntax' | 'config.unknown' | 'config.missing' | 'config.invalid' | 'config.reference'
  readonly file: string
  readonly line: number
  readonly column: number
  readonly what: string
}

export type Loaded =
  | { readonly ok: true; readonly value: SiteConfig }
  | { readonly ok: false; readonly faults: readonly ConfigFault[] }

/** A megabyte of configuration is no configuration. */
const TEXT_MAX = 1_000_000

export function loadConfig(text: string, file: string): Loaded {
  if (text.length > TEXT_MAX) {
    const what = `${text.length} characters are too many; a configuration has at most ${TEXT_MAX}`
    return { ok: false, faults: [{ code: 'config.syntax', file, line: 1, column: 1, what }] }
  }
  const { yaml, problems } = readYaml(text)
  if (yaml === undefined) {
    return { ok: false, faults: problems.map(problem => ({ code: 'config.syntax', file, ...problem })) }
  }
  const { config, issues } = readAll(yaml.value)
  const found = config === undefined ? [] : crossChecks(config)
  const faults = [...issues, ...found].map(issue => faultOf(issue, yaml, file))
  if (config === undefined || faults.length > 0) return { ok: false, faults: faults.sort(byPlace) }
  return { ok: true, value: config }
}

/** A configuration mistake as one line: `site.yaml:12:5: unknown key "buad" (did you mean "baud"?)`. */
export const configLine = (fault: ConfigFault): string =>
  `${fault.file}:${fault.line}:${fault.column}: ${fault.what}${fault.hint === undefined ? '' : ` (${fault.hint})`}`

/**
 * The schema names one unknown key of an object at a time and keeps silent about what hides behind it, so unknown keys are
 * taken out and the rest is read again until all are known.
 */
function readAll(value: YamlValue): { readonly config?: SiteConfig; readonly issues: readonly SchemaIssue[] } {
  const unknown: SchemaIssue[] = []
  let rest = value
  for (;;) {
    const { config, issues } = readSchema(rest)
    const next = issues.filter(issue => issue.kind === 'unknown')
    if (next.length === 0) {
      // With unknown keys taken out the rest may be valid: its references are still worth checking.
      return { ...(config === undefined ? {} : { config }), issues: [...unknown, ...issues] }
    }
    unknown.push(...next)
    for (const issue of next) rest = without(rest, issue.path)
  }
}

function without(value: YamlValue, path: Path): YamlValue {
  const [head, ...tail] = path
  if (typeof value === 'string' || head === undefined) return value
  if (Array.isArray(value)) return value.map((item, index) => (index === head ? without(item, tail) : item))
  const entries = Object.entries(value as { readonly [key: string]: YamlValue })
  return Object.fromEntries(
    tail.length === 0
      ? entries.filter(([key]) => key !== head)
      : entries.map(([key, item]) => [key, key === head ? without(item, tail) : item]),
  )
}

function faultOf(issue: Issue, yaml: YamlText, file: string): ConfigFault {
  const last = String(issue.path.at(-1) ?? '')
  if (issue.kind === 'unknown') {
    const meant = nearest(last, issue.known)
    return {
      code: 'config.unknown',
      file,
      ...yaml.place(issue.path, 'key'),
      what: `unknown key "${last}"`,
      hint: meant === undefined ? `known here: ${issue.known.join(', ')}` : `did you mean "${meant}"?`,
    }
  }
  if (issue.kind === 'missing') {
    const inside = issue.path.slice(0, -1).join('.')
    const what = `"${last}" is missing${inside === '' ? '' : ` in ${inside}`}`
    return { code: 'config.missing', file, ...yaml.place(issue.path, 'key'), what }
  }
  const name = issue.path
    .map((part, n) => (typeof part === 'number' ? `[${part}]` : n > 0 ? `.${part}` : part))
    .join('')
  return {
    code: issue.kind === 'reference' ? 'config.reference' : 'config.invalid',
    file,
    ...yaml.place(issue.path, issue.kind === 'invalid' ? issue.of : 'value'),
    what: `${name}${name === '' ? '' : ' '}${issue.what}`,
    ...(issue.kind === 'reference' && issue.hint !== undefined ? { hint: issue.hint } : {}),
  }
}

const byPlace = (a: ConfigFault, b: ConfigFault): number => a.line - b.line || a.column - b.column

type Issue =
  | SchemaIssue
  | { readonly kind: 'reference'; readonly path: Path; readonly what: string; readonly hint?: string }

/** What no single setting can know of itself: names that must exist elsewhere, and settings that go together. */
function crossChecks(config: SiteConfig): readonly Issue[] {
  const issues: Issue[] = []
  const report = (path: Path, what: string, hint?: string) =>
    issues.push({ kind: 'reference', path, what, ...(hint === undefined ? {} : { hint }) })
  const refer = (path: Path, kind: string, name: string, table: object) => {
    if (Object.hasOwn(table, name)) return
    const known = Object.keys(table)
    const meant = nearest(name, known)
    const others = known.length === 0 ? `no ${kind} is defined` : `defined: ${known.join(', ')}`
    report(
      path,
      `names the ${kind} "${name}", which is not defined`,
      meant === undefined ? others : `did you mean "${meant}"?`,
    )
  }

  if (!config.bench) {
    if (config.keys.kind === 'seed')
      report(['keys', 'seed'], 'is for a bench only', 'name key files, or set bench: true')
    if (config.clock !== undefined) report(['clock'], 'is for a bench only', 'leave it out, or set bench: true')
  }

  for (const [name, meter] of Object.entries(config.meters)) {
    refer(['meters', name, 'line'], 'line', meter.line, config.lines)
    const line = config.lines[meter.line]
    if ('page' in meter) refer(['meters', name, 'page'], 'page', meter.page, Object.fromEntries(PAGES))
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
      const first = Object.entries(config.meters).find(
        ([, other]) => other.line === meter.line && saidFraming(other) !== undefined,
      )!
      if (saidFraming(first[1]) !== said)
        report(at, `differs from that of ${first[0]} on "${meter.line}"`, 'all on one line are framed alike')
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
      const other = Object.entries(config.meters).find(
        ([one, { line, protocol }]) =>
          one !== name && line === meter.line && !(protocol === 'mbus' && meter.protocol === 'mbus'),
      )
      if (other !== undefined)
        report(
          ['meters', name, 'line'],
          `is also the line of ${other[0]}`,
          'Modbus slaves can share a line, and M-Bus meters',
        )
    }
  }
  if (Object.keys(config.meters).length === 0) report(['meters'], 'must name at least one meter')

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
  for (const [name, bank] of Object.entries(config.relays)) {
    if (bank.driver !== 'modbus-coils') continue
    refer(['relays', name, 'line'], 'line', bank.line, config.lines)
    claimUnit(['relays', name, 'unit'], bank.line, bank.unit)
  }

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

  const { buy } = config.trade
  const { sell } = config.trade
  if (sell !== undefined && sell.opening < sell.reserve)
    report(['trade', 'sell', 'opening'], 'is below the reserve price')
  if (buy !== undefined && buy.opening > buy.limit) report(['trade', 'buy', 'opening'], 'is above the limit')
  for (const [low, high] of [
    ['voltage', [config.safety.voltageMinMv, config.safety.voltageMaxMv]],
    ['frequency', [config.safety.frequencyMinMhz, config.safety.frequencyMaxMhz]],
  ] as const) {
    if (high[0] !== undefined && high[1] !== undefined && high[0] >= high[1]) {
      report(['safety', `${low}_min`], `is not below ${low}_max`)
    }
  }
  if (Object.hasOwn(config.peers, config.site)) report(['peers', config.site], 'is this site itself')
  if (config.ledger.witnesses.includes(config.ledger.primary)) {
    report(['ledger', 'witnesses'], 'names the primary again', 'a witness is another node')
  }
  const { relayAs, staleAfterMs, followMs } = config.ledger
  if (relayAs !== undefined && [config.ledger.primary, ...config.ledger.witnesses].includes(`mqtt:${relayAs}`)) {
    report(['ledger', 'relay_as'], 'is also a source of this site', 'a relay cannot ask itself')
  }
  if (staleAfterMs !== undefined && staleAfterMs <= followMs) {
    report(['ledger', 'stale_after'], 'is not above ledger.follow', 'between two looks every head would be stale')
  }
  return issues
}
