/** `tieline init --broker`: everything that a Mosquitto and its sites need to know each other by certificates. */
import { basename, dirname, join, resolve } from 'node:path'
import { openFolder } from '../../../../drivers/store/disk.ts'
import { copyFolder, isFolder, makeFolder, removeFolder, replaceFolder } from '../../../../drivers/store/folder.ts'
import { readTextFile } from '../../../../drivers/text-file.ts'
import { writeWholeFile } from '../../../../drivers/whole-file.ts'
import { done, type Fault, faultLine, type Result } from '../../../../protocol/result.ts'
import { deviceOf } from '../../../publish/mqtt.ts'
import { EXIT, type ExitCode, exitOf } from '../../exit-codes.ts'
import { jsonLine } from '../../json-line.ts'
import type { Terminal } from '../../terminal.ts'
import { misused } from '../../usage.ts'
import { shellWord } from '../shell-word.ts'
import { aclText, mosquittoConf } from './broker-text.ts'
import { certify, ensureAuthority, expiryOf } from './certificates.ts'

export interface BrokerOptions {
  readonly out: string
  readonly host: readonly string[]
  readonly port?: string
  readonly json?: true
}

/** The CN of whoever reads all sites. */
const HOME = 'home-assistant'
const HOSTS_FILE = 'hosts.list'
const USUAL_PORT = 8883
/** Written last: where it is, all else is. */
const SITES_FILE = 'sites.list'
/** Where the broker has its files, on whichever machine: its user cannot look into a home, and drops root before it reads its key. */
const INSTALLED = '/etc/mosquitto/tieline'
const install = (out: string): readonly string[] => [
  `sudo cp -rT ${shellWord(`${out}/broker`)} ${INSTALLED}`,
  `sudo chown -R mosquitto: ${INSTALLED}`,
  `sudo mosquitto -d -c ${INSTALLED}/mosquitto.conf`,
]

/** The sites that were named before stay; all get certificates anew, each for the key that it has. */
export async function makeBroker(
  named: readonly string[],
  options: BrokerOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const wrong = (what: string) => misused('init --broker', what, terminal)
  const badHost = options.host.find(host => !isHost(host))
  if (badHost !== undefined) return wrong(`"${badHost}" is no name of a host`)
  const out = resolve(options.out)
  const making = join(dirname(out), `.${basename(out)}.unfinished`)
  // Cut off while it was put in place: what is new is whole, and its authority the one that the sites know.
  if (!(await isFolder(out)) && (await readTextFile(join(making, SITES_FILE))).ok) replaceFolder(making, out)
  const port = options.port === undefined ? await portOf(out) : Number(options.port)
  if (!/^\d{1,5}$/.test(options.port ?? '1') || port < 1 || port > 65_535) return wrong('--port is from 1 to 65535')
  const before = await readTextFile(join(out, SITES_FILE))
  const known = before.ok ? before.value.split('\n').filter(line => line !== '') : []
  const sites = [...new Set([...known, ...named])].sort()
  const bad = sites.find(site => !/^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(site) || site === HOME)
  if (bad !== undefined) return wrong(`"${bad.slice(0, 48)}" is no name of a site`)
  if (sites.length === 0) return wrong('name the sites, as in tieline init --broker elm oak --host hub.local')
  const twin = sites.find((site, n) => sites.some((other, m) => m < n && deviceOf(other) === deviceOf(site)))
  if (twin !== undefined) return wrong(`"${twin}" would publish under the same name as another site`)
  if (!before.ok && ((await isFolder(out)) || (await readTextFile(out)).ok))
    return wrong(`${out} is there and holds no broker of ours`)

  removeFolder(making)
  const hosts = await hostsOf(out, options.host)
  const made = await make(making, out, before.ok, sites, hosts, port)
  if (!made.ok) {
    removeFolder(making)
    return refuse(made.fault, terminal)
  }
  const placed = replaceFolder(making, out)
  if (!placed.ok) return refuse(placed.fault, terminal)
  return tell(out, sites, hosts[0]!, port, placed.value, options.json === true, terminal)
}

async function make(
  making: string,
  out: string,
  renewed: boolean,
  sites: readonly string[],
  hosts: readonly string[],
  port: number,
): Promise<Result<unknown>> {
  const begun = renewed ? copyFolder(out, making) : await makeFolder(making)
  if (!begun.ok) return begun
  for (const folder of ['authority', 'broker/data', ...[...sites, HOME].map(site => `sites/${site}`)]) {
    const folded = await makeFolder(join(making, folder))
    if (!folded.ok) return folded
  }
  const authority = join(making, 'authority/ca')
  const ca = await ensureAuthority(authority, 'Tieline broker authority')
  if (!ca.ok) return ca
  const files: (() => Promise<Result<unknown>>)[] = [
    () => certify(authority, join(making, 'broker/server'), hosts[0]!, hosts),
    ...[...sites, HOME].map(site => () => certify(authority, join(making, 'sites', site, site), site, undefined)),
    () => writeWholeFile(join(making, 'broker/mosquitto.conf'), mosquittoConf(INSTALLED, port)),
    () => writeWholeFile(join(making, HOSTS_FILE), `${hosts.join('\n')}\n`),
    () => writeWholeFile(join(making, 'broker/acl'), aclText(sites, HOME)),
    ...['broker', ...[...sites, HOME].map(site => join('sites', site))].map(
      folder => () => copyText(`${authority}.crt`, join(making, folder, 'ca.crt')),
    ),
  ]
  for (const file of files) {
    const written = await file()
    if (!written.ok) return written
  }
  const removed = await removeRequests(join(making, 'authority'))
  return removed.ok ? writeWholeFile(join(making, SITES_FILE), `${sites.join('\n')}\n`) : removed
}

/** As named; else as before. Whoever is on the same machine reaches it there too. */
async function hostsOf(out: string, named: readonly string[]): Promise<readonly string[]> {
  const before = await readTextFile(join(out, HOSTS_FILE))
  const known = before.ok ? before.value.split('\n').filter(line => line !== '') : []
  return [...new Set([...(named.length > 0 ? named : known), 'localhost', '127.0.0.1'])]
}

async function portOf(out: string): Promise<number> {
  const before = await readTextFile(join(out, 'broker/mosquitto.conf'))
  return Number((before.ok ? /^listener (\d+)$/m.exec(before.value)?.[1] : undefined) ?? USUAL_PORT)
}

async function copyText(from: string, to: string): Promise<Result<unknown>> {
  const text = await readTextFile(from)
  return text.ok ? writeWholeFile(to, text.value) : text
}

/** What certificates were asked for with has done its work. */
async function removeRequests(folder: string): Promise<Result<unknown>> {
  const files = await openFolder(folder)
  const names = files.ok ? await files.value.list() : files
  if (!names.ok) return names
  for (const name of names.value) if (/\.(cnf|csr)$/.test(name)) removeFolder(join(folder, name))
  return done
}

const isAddress = (text: string): boolean =>
  text.includes(':')
    ? URL.canParse(`http://[${text}]/`)
    : /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && text.split('.').every(part => Number(part) < 256)

/** A name of DNS (RFC 1123, 2.1), or an address. The first is the CN of the broker, which holds 64 octets (RFC 5280, ub-common-name). */
const isHost = (text: string): boolean =>
  text.length <= 64 &&
  (isAddress(text) ||
    /^(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/.test(
      text,
    ))

function refuse(fault: Fault, terminal: Terminal): ExitCode {
  terminal.err(`tieline init --broker: ${faultLine(fault)}\n`)
  return exitOf(fault)
}

async function tell(
  out: string,
  sites: readonly string[],
  host: string,
  port: number,
  backup: string | undefined,
  json: boolean,
  terminal: Terminal,
): Promise<ExitCode> {
  const certificates = [
    ['authority', join(out, 'authority/ca.crt')],
    ['broker', join(out, 'broker/server.crt')],
    ...[...sites, HOME].map(site => [site, join(out, 'sites', site, `${site}.crt`)] as const),
  ] as const
  const expiries: { readonly of: string; readonly file: string; readonly until: string }[] = []
  for (const [of, file] of certificates) {
    const until = await expiryOf(file)
    if (!until.ok) return refuse(until.fault, terminal)
    expiries.push({ of, file, until: until.value })
  }
  const url = `mqtts://${host.includes(':') ? `[${host}]` : host}:${port}`
  const settings = (site: string) =>
    `brokers: ["${url}"]\nbroker_tls: {ca: ca.crt, cert: ${site}.crt, key: ${site}.key}\nmqtt: {}\n`
  if (json) {
    terminal.out(
      jsonLine({
        ok: true,
        out,
        backup: backup ?? null,
        url,
        expiries,
        settings: Object.fromEntries(sites.map(site => [site, settings(site)])),
      }),
    )
    return EXIT.ok
  }
  terminal.err(`${out}: written${backup === undefined ? '' : `; what was there is ${backup}`}\n`)
  for (const { of, until } of expiries) terminal.err(`  ${of}: until ${until}\n`)
  terminal.err(`The key of the authority makes certificates: keep ${out}/authority on no broker and no site.\n`)
  terminal.err(
    `On the machine of the broker, with the files of ${out}/broker:\n${install(out)
      .map(line => `  ${line}\n`)
      .join('')}`,
  )
  for (const site of sites) {
    terminal.err(`For ${site}, with the files of ${out}/sites/${site} beside its configuration:\n`)
    terminal.out(`# ${site}\n${settings(site)}`)
  }
  return EXIT.ok
}
