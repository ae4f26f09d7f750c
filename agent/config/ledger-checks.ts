/** What needs a ledger and a broker: everything but reading, signing, showing and charging by one's own rules. */
import type { SiteConfig } from './site-config.ts'
import type { Path } from './yaml.ts'

type Report = (path: Path, what: string, hint?: string) => void

export function checkLedger(config: SiteConfig, report: Report): void {
  const { ledger, brokers, brokerTls, publish, relays } = config
  const trading = [
    ...(config.directLines.length > 0 ? ['direct_lines'] : []),
    ...Object.entries({
      grid: config.grid,
      distribution: config.distribution,
      distributor: config.distributor,
      storage: config.storage,
      registrar: config.registrar,
      mint: config.mint,
      purse: config.purse,
      car_park: config.carPark,
      park_car: config.parkCar,
      demand_response: config.demandResponse,
      aggregator: config.aggregator,
      community: config.community,
      regulator: config.regulator,
    }).flatMap(([section, given]) => (given === undefined ? [] : [section])),
  ]
  for (const section of trading) {
    if (ledger === undefined) report([section], 'needs a ledger section', 'what is paid is proven there')
    if (brokers.length === 0) report([section], 'needs brokers', 'the neighbours are met there')
  }
  const overBrokers = [ledger, config.distribution].some(
    one => one !== undefined && [one.primary, ...one.witnesses].some(source => source.startsWith('mqtt:')),
  )
  if (overBrokers && brokers.length === 0) report(['ledger'], 'has sources behind brokers, and there are no brokers')
  if (publish !== undefined && publish.brokers === undefined && brokers.length === 0)
    report(['mqtt'], 'names no broker', 'name them under mqtt.brokers, or those of the site under brokers')
  for (const [name, bank] of Object.entries(relays))
    if (bank.driver === 'shelly' && bank.broker === undefined && brokers.length === 0)
      report(['relays', name], 'names no broker', 'name its broker, or those of the site under brokers')
  if (brokerTls !== undefined && !brokers.some(url => url.startsWith('mqtts:')))
    report(['broker_tls'], 'is for brokers whose address begins with mqtts:')

  for (const [section, followed] of Object.entries({ ledger, distribution: config.distribution })) {
    if (followed === undefined) continue
    const { primary, witnesses, relayAs, staleAfterMs, followMs } = followed
    if (witnesses.includes(primary))
      report([section, 'witnesses'], 'names the primary again', 'a witness is another node')
    else {
      const named = new Map([[nodeAt(primary), 'the primary']])
      for (const [index, witness] of witnesses.entries()) {
        const other = named.get(nodeAt(witness))
        if (other === undefined) named.set(nodeAt(witness), `witness ${index + 1}`)
        else report([section, 'witnesses', index], `is ${other} by another name`, 'a witness is another node')
      }
    }
    if (relayAs !== undefined && [primary, ...witnesses].includes(`mqtt:${relayAs}`))
      report([section, 'relay_as'], 'is also a source of this site', 'a relay cannot ask itself')
    if (staleAfterMs !== undefined && staleAfterMs <= followMs)
      report([section, 'stale_after'], `is not above ${section}.follow`, 'between two looks every head would be stale')
  }
}

/** One text for all spellings of an address: this machine is the same machine under each of its own names. */
function nodeAt(source: string): string {
  if (!URL.canParse(source) || source.startsWith('mqtt:')) return source
  const { protocol, hostname, port, pathname } = new URL(source)
  const host = hostname.replace(/\.$/, '')
  const isOwn = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\]|\[::ffff:7f..:.*\]|0\.0\.0\.0|\[::\])$/.test(host)
  return `${isOwn ? 'this machine' : host}:${port || (protocol === 'https:' ? 443 : 80)}${pathname.replace(/\/+$/, '')}`
}
