/** A draft as the text of config.yaml, with what a person wants to know beside the settings. */
import type { LineConfig } from '../../config/site-config.ts'
import type { Draft, DraftLedger, Settings } from './draft.ts'

export function siteText(draft: Draft): string {
  const { broker, ledger, distribution, network, grid, community, regulator } = draft
  const later = missing(draft)
  const sections: (readonly string[] | undefined)[] = [
    [
      '# A site of Tieline; `tieline check` names every mistake in this file, and `tieline run` takes it at its next start.',
      'version: 1',
      `site: ${scalar(draft.site)}`,
      `role: ${draft.role}`,
      '# Journal and state. Paths are relative to this file.',
      `data: ${scalar(draft.data)}`,
      ...(draft.board === undefined ? [] : [`board: ${scalar(draft.board)}`]),
    ],
    [
      `# Private keys, sealed by a passphrase that is ${PASSPHRASES[draft.passphrase]}.`,
      'keys:',
      ...['account', 'metering', 'sealing'].map(use => `  ${use}: ${scalar(`${draft.keys}/${use}`)}`),
      ...(draft.charger?.['meter'] === undefined ? [] : [`  ocmf: ${scalar(`${draft.keys}/ocmf`)}`]),
      ...(draft.passphrase === 'file' ? [`  passphrase_file: ${scalar(`${draft.keys}/passphrase`)}`] : []),
    ],
    draft.lines.length === 0
      ? undefined
      : [
          '# Wires and network addresses on which devices are reached.',
          'lines:',
          ...draft.lines.map(({ name, config }) => `  ${name}: ${flow(lineSettings(config))}`),
        ],
    draft.meters.length === 0
      ? undefined
      : ['meters:', ...draft.meters.map(({ name, settings }) => `  ${name}: ${flow(settings)}`)],
    broker === undefined
      ? undefined
      : [
          '# Where neighbours and the home are met.',
          `brokers: [${scalar(broker.url)}]`,
          ...(broker.tls === undefined ? [] : [`broker_tls: ${flow(broker.tls)}`]),
        ],
    draft.publish
      ? [
          '# The site on its broker, found by Home Assistant; `home_assistant: off` tells it without discovery.',
          'mqtt: {every: 10s}',
        ]
      : undefined,
    ledger === undefined
      ? undefined
      : [
          '# Believed by a light client from this header on: ask two people for its hash.',
          'ledger:',
          ...ledgerBlock(ledger),
        ],
    distribution === undefined
      ? undefined
      : ['# The ledger of the lines: capacity and fees.', 'distribution:', ...ledgerBlock(distribution)],
    network === undefined
      ? undefined
      : [
          '# Energies are what a line carries in a quarter of an hour.',
          'distributor:',
          '  lines:',
          ...Object.entries(network).map(([name, settings]) => `    ${scalar(name)}: ${flow(settings)}`),
        ],
    Object.keys(draft.relays).length === 0
      ? undefined
      : ['relays:', ...Object.entries(draft.relays).map(([name, bank]) => `  ${name}: ${flow(bank)}`)],
    Object.keys(draft.peers).length === 0
      ? undefined
      : [
          '# Public keys of the neighbours, as `tieline key show` shows them there.',
          'peers:',
          ...Object.entries(draft.peers).flatMap(([name, keys]) => [`  ${name}:`, ...block(keys, '    ')]),
        ],
    draft.directLines.length === 0
      ? undefined
      : [
          'direct_lines:',
          ...draft.directLines.flatMap(({ settings, contacts }) => [
            ...block(settings, '    ').map((text, n) => (n === 0 ? text.replace('    ', '  - ') : text)),
            `    contacts: ${flow(contacts)}`,
          ]),
        ],
    (draft.sell ?? draft.buy) === undefined
      ? undefined
      : [
          '# Prices of a kWh; energy and length of one deal.',
          'trade:',
          ...(draft.sell === undefined ? [] : [`  sell: ${flow(draft.sell)}`]),
          ...(draft.buy === undefined ? [] : [`  buy: ${flow(draft.buy)}`]),
          '  slot: 15min',
          '  energy: 1kWh',
        ],
    grid === undefined
      ? undefined
      : [
          '# Over the grid, with whoever offers best.',
          'grid:',
          ...block(grid.settings),
          ...(grid.sell === undefined ? [] : [`  sell: ${flow(grid.sell)}`]),
          ...(grid.buy === undefined ? [] : [`  buy: ${flow(grid.buy)}`]),
        ],
    community === undefined
      ? undefined
      : [
          '# Serial of the grid meter of each member, by its name under peers.',
          'community:',
          ...block(community.settings),
          `  tariff: ${flow(community.tariff)}`,
          `  members: ${flow(community.members)}`,
        ],
    regulator === undefined
      ? undefined
      : [
          '# Prices between which contracts stay, and serials of meters that make no new ones.',
          'regulator:',
          `  band: ${flow(regulator.band)}`,
          `  suspend: [${regulator.suspend.map(scalar).join(', ')}]`,
        ],
    draft.charger === undefined
      ? undefined
      : [
          'fuses:',
          `  main: ${flow({ rating: draft.fuse, meter: draft.fuseMeter })}`,
          'chargers:',
          `  charger: ${flow(draft.charger)}`,
        ],
    [
      '# The page and its API; from outside the house put a proxy with TLS in front.',
      'page:',
      `  listen: ${scalar(draft.listen)}`,
      ...(draft.passwordFile === undefined ? [] : [`  password_file: ${scalar(draft.passwordFile)}`]),
    ],
    later === undefined ? undefined : [`# Still missing. ${later}`],
  ]
  return `${sections.flatMap(lines => (lines === undefined ? [] : [lines.join('\n')])).join('\n\n')}\n`
}

const PASSPHRASES = {
  file: 'in the file beside them: whoever has the card has the keys',
  lent: 'lent by systemd (LoadCredential=tieline-passphrase)',
  asked: 'asked for at each start',
}

/** What a site of its role is nothing without, and no answer led to. */
export function missing({ role, grid, community, network, regulator }: Draft): string | undefined {
  switch (role) {
    case 'storage':
      return 'A store works once it has `ledger`, `distribution`, `grid` and `storage`: hw/examples/storage.yaml shows them.'
    case 'distributor':
      return network === undefined
        ? 'A distributor works once it has `ledger`, `distribution` and `distributor`: hw/examples/distributor.yaml shows them.'
        : undefined
    case 'community':
      return community === undefined
        ? 'A community works once it has `ledger`, `grid`, `community` and its members under `peers`: hw/examples/community.yaml shows them.'
        : undefined
    case 'regulator':
      return regulator === undefined
        ? 'A regulator works once it has `ledger` and `regulator`: hw/examples/regulator.yaml shows them.'
        : undefined
    case 'generator':
      return grid?.sell === undefined
        ? 'A plant sells over the grid once it has `ledger` and `grid` with `sell`: hw/examples/generator.yaml shows them.'
        : undefined
    default:
      return undefined
  }
}

const ledgerBlock = ({ settings, trust, witnesses }: DraftLedger): readonly string[] => [
  ...block(settings),
  `  trust: ${flow(trust)}`,
  `  witnesses: [${witnesses.map(scalar).join(', ')}]`,
]

const lineSettings = (config: LineConfig): Settings =>
  config.kind === 'tcp'
    ? { tcp: config.host.includes(':') ? `[${config.host}]:${config.port}` : `${config.host}:${config.port}` }
    : { serial: config.path, baud: String(config.baud), format: config.format }

const given = (settings: Settings): readonly (readonly [string, string])[] =>
  Object.entries(settings).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]))

const flow = (settings: Settings): string =>
  `{${given(settings)
    .map(([key, value]) => `${key}: ${scalar(value)}`)
    .join(', ')}}`

const block = (settings: Settings, indent = '  '): string[] =>
  given(settings).map(([key, value]) => `${indent}${key}: ${scalar(value)}`)

/** A YAML scalar of exactly this text: what could be read as anything else is quoted, and JSON's quotes are YAML's. */
const scalar = (text: string): string => (/^[A-Za-z0-9/][A-Za-z0-9_./-]*$/.test(text) ? text : JSON.stringify(text))
