/** What `tieline init` does once the file is written: first readings, secrets and keys, and what is left to do. */
import { dirname, resolve } from 'node:path'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { makeGuarded } from '../../../drivers/keys/guarded-file.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import type { MeterReading } from '../../../drivers/ports.ts'
import { readTextFile } from '../../../drivers/text-file.ts'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { fail, faultLine, type Result } from '../../../protocol/result.ts'
import type { SiteConfig } from '../../config/site-config.ts'
import { setPassword } from '../access/access.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { initKeys } from '../keys/key-init.ts'
import { valueJson, valueText } from '../meters/meter-text.ts'
import { readOnce, siteTarget } from '../meters/read.ts'
import { readSite } from '../site-file.ts'
import { paint, type Terminal } from '../terminal.ts'
import type { Draft } from './draft.ts'
import type { Person } from './prompts.ts'
import { choose } from './question.ts'
import { shellWord } from './shell-word.ts'
import { missing } from './site-text.ts'

interface Finishing {
  readonly file: string
  readonly draft: Draft
  readonly text: string
  readonly backup: string | undefined
  readonly json: boolean
  readonly person: Person | undefined
  readonly terminal: Terminal
}

interface FirstReading {
  readonly meter: string
  readonly read: Result<MeterReading>
}

export async function finish(finishing: Finishing): Promise<ExitCode> {
  const { file, draft, backup, json, person, terminal } = finishing
  const site = await readSite(file, terminal)
  if (typeof site === 'number') return site
  terminal.err(`${file}: written${backup === undefined ? '' : `; the old one is ${backup}`}\n`)
  const readings: FirstReading[] = []
  for (const meter of Object.keys(site.meters)) {
    const read = await readOnce(siteTarget(site, meter)!)
    readings.push({ meter, read })
    terminal.err(`${readingLine(meter, read)}\n`)
  }
  const made = draft.passphrase === 'file' ? await makePassphrase(site) : undefined
  if (made?.ok === false) terminal.err(`the passphrase is not made: ${faultLine(made.fault)}\n`)
  const password = person !== undefined && (await offerPassword(site, person, terminal))
  const keys = person !== undefined && (await offerKeys(file, draft, person, terminal))

  const unproven = whatIsUnproven(draft, readings)
  const next = nextCommands(file, draft, site, { keys, password })
  if (json) {
    terminal.out(
      jsonLine({
        ...{ ok: true, file, backup: backup ?? null, site: draft.site, role: draft.role },
        readings: readings.map(({ meter, read }) =>
          read.ok
            ? { meter, ok: true, serial: read.value.meterId, values: read.value.values.map(valueJson) }
            : { meter, ok: false, fault: read.fault },
        ),
        ...{ unproven, next },
      }),
    )
    return EXIT.ok
  }
  terminal.err(
    `\n${paint('Not yet proven:', 'bold', terminal.colour)}\n${unproven.map(what => `  - ${what}\n`).join('')}`,
  )
  terminal.err(`\n${paint('Next:', 'bold', terminal.colour)}\n`)
  terminal.out(next.map(command => `  ${command}\n`).join(''))
  return EXIT.ok
}

function readingLine(meter: string, read: Result<MeterReading>): string {
  if (!read.ok) return `${meter}: not read: ${faultLine(read.fault)}`
  const { values } = read.value
  // What the display of the meter shows too.
  const first = values.find(({ obis }) => obis === '1-0:1.8.0') ?? values[0]
  return `${meter}: serial ${read.value.meterId}${first === undefined ? '' : `, ${first.obis} ${valueText(first)}`}; ${values.length} values`
}

/** Made at random where it is not there: nobody has to know it. */
async function makePassphrase({ keys }: SiteConfig): Promise<Result<void>> {
  if (keys.kind === 'seed' || keys.passphraseFile === undefined) return fail({ code: 'keys.no-passphrase' })
  const there = await readTextFile(keys.passphraseFile)
  if (there.ok || there.fault.code !== 'file.missing') return there.ok ? { ok: true, value: undefined } : there
  return makeGuarded(keys.passphraseFile, (disk, name) =>
    disk.replace(name, utf8(`${toHex(systemEntropy.bytes(16))}\n`)),
  )
}

const now = (id: string, text: string) =>
  choose(
    id,
    text,
    [
      { value: 'yes', label: 'yes' },
      { value: 'no', label: 'later' },
    ],
    'yes',
  )

async function offerPassword({ page }: SiteConfig, person: Person, terminal: Terminal): Promise<boolean> {
  if (page.passwordFile === undefined) return false
  if ((await readTextFile(page.passwordFile)).ok) return true
  if ((await person.ask(now('password', 'Set the password of the page now?'))) !== 'yes') return false
  return (await setPassword(page.passwordFile, terminal)) === EXIT.ok
}

/** A passphrase that systemd will lend is not here to seal them with. */
async function offerKeys(file: string, { passphrase }: Draft, person: Person, terminal: Terminal): Promise<boolean> {
  if (passphrase === 'lent' && terminal.env['CREDENTIALS_DIRECTORY'] === undefined) return false
  if ((await person.ask(now('keys', 'Make the private keys now? None that is there is overwritten'))) !== 'yes')
    return false
  return (await initKeys(file, false, undefined, { ...terminal, out: terminal.err })) === EXIT.ok
}

function whatIsUnproven(draft: Draft, readings: readonly FirstReading[]): readonly string[] {
  const unread = readings.filter(({ read }) => !read.ok).map(({ meter }) => meter)
  const pages = draft.meters.flatMap(({ target: { meter } }) => ('page' in meter ? [meter.page] : []))
  const simulated = [...new Set(pages)].filter(page => PAGES.get(page)?.replay === 'synthetic')
  return [
    ...(unread.length === 0
      ? []
      : [`${unread.join(', ')} could not be read: \`tieline read --config\` says why, again and again`]),
    ...(simulated.length === 0
      ? []
      : [`${simulated.join(', ')}: known from documents, tried on a simulator only; compare with the display`]),
    ...(Object.keys(draft.relays).length === 0
      ? []
      : ['no contact was switched: try each one with the line dead, and look']),
    ...(draft.charger === undefined ? [] : ['the charger was not asked: its limits are seen when the agent starts']),
    ...(draft.broker === undefined ? [] : [`whether ${draft.broker.url} answers is seen when the agent starts`]),
    ...(draft.ledger === undefined
      ? []
      : ['the header of the ledger is believed as it was typed: ask somebody else for its hash']),
    ...(draft.ledger === undefined ? ['without a ledger nothing is traded, and no contact closes'] : []),
    ...[missing(draft) ?? []].flat(),
  ]
}

function nextCommands(
  file: string,
  draft: Draft,
  site: SiteConfig,
  done: { readonly keys: boolean; readonly password: boolean },
): readonly string[] {
  const where = shellWord(file)
  const { passwordFile } = site.page
  const { broker } = draft
  return [
    ...(passwordFile === undefined || done.password ? [] : [`tieline password ${shellWord(passwordFile)}`]),
    `tieline check ${where}`,
    ...(done.keys
      ? []
      : [
          `${draft.passphrase === 'lent' ? 'systemd-run --pty -p LoadCredential=tieline-passphrase ' : ''}tieline key init --config ${where}`,
        ]),
    // Nobody trades with a site whose keys he does not know, and no ledger pays whom it does not know.
    ...(draft.ledger === undefined
      ? []
      : [`tieline key show --peer --config ${where}`, `tieline key show --enrol --config ${where}`]),
    `tieline run --config ${where}`,
    ...(draft.publish && broker !== undefined ? [subscribe(broker, dirname(resolve(file)))] : []),
    `curl http://127.0.0.1:${site.page.port}/metrics`,
  ]
}

/** Shows what Home Assistant is told, once. */
function subscribe({ url, tls }: NonNullable<Draft['broker']>, folder: string): string {
  const { hostname, port, protocol } = new URL(url)
  const at = (file: string | undefined) => shellWord(resolve(folder, file ?? ''))
  const secure = tls === undefined ? '' : ` --cafile ${at(tls['ca'])} --cert ${at(tls['cert'])} --key ${at(tls['key'])}`
  const usual = protocol === 'mqtts:' ? '8883' : '1883'
  return `mosquitto_sub -h ${hostname.replace(/^\[|\]$/g, '')} -p ${port || usual}${secure} -t 'homeassistant/device/+/config' -C 1 -v`
}
