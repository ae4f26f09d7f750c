/** A certificate authority for one broker and its sites, made by the openssl program. Private keys are P-256, each in a file for its owner alone. */
import { systemEntropy } from '../../../../drivers/crypto/entropy.ts'
import { runProgram } from '../../../../drivers/process/program.ts'
import { readTextFile, writeNewTextFile } from '../../../../drivers/text-file.ts'
import { toHex } from '../../../../protocol/bytes.ts'
import { done, type Result } from '../../../../protocol/result.ts'

/** Ten years: longer than a board lives, and who changes it has to go to every site. */
const AUTHORITY_DAYS = 3650
/** The longest that any platform takes of a server (Apple's); it is renewed by the same command in a minute. */
const LEAF_DAYS = 825
const INSTALL = 'apt install openssl'

const openssl = (...args: readonly string[]) => runProgram('openssl', args, INSTALL)

type Kind = 'ca' | 'server' | 'client'
const EXTENSIONS: Readonly<Record<Kind, readonly string[]>> = {
  ca: ['basicConstraints = critical, CA:TRUE, pathlen:0', 'keyUsage = critical, keyCertSign, cRLSign'],
  server: [
    'basicConstraints = critical, CA:FALSE',
    'keyUsage = critical, digitalSignature',
    'extendedKeyUsage = serverAuth',
  ],
  client: [
    'basicConstraints = critical, CA:FALSE',
    'keyUsage = critical, digitalSignature',
    'extendedKeyUsage = clientAuth',
  ],
}

/** A key at `${at}.key` where there is none. */
async function ensureKey(at: string): Promise<Result<unknown>> {
  if ((await readTextFile(`${at}.key`)).ok) return done
  return openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', `${at}.key`)
}

const settingsOf = (name: string, kind: Kind, more: readonly string[]): string =>
  [
    '[req]',
    'prompt = no',
    'distinguished_name = dn',
    `x509_extensions = ${kind}`,
    '[dn]',
    `CN = ${name}`,
    `[${kind}]`,
    ...EXTENSIONS[kind],
    'subjectKeyIdentifier = hash',
    ...more,
    '',
  ].join('\n')

/** Random, as RFC 5280 (4.1.2.2) lets it be: no counter has to be kept. */
const serial = () => `0x${toHex(Uint8Array.of(0x10, ...systemEntropy.bytes(15)))}`

/**
 * `${at}.key` and `${at}.crt`, kept where they are there. A certificate that would end before those that it is to sign is made
 * anew for the same key: what that key has signed stays good.
 */
export async function ensureAuthority(at: string, name: string): Promise<Result<unknown>> {
  const lasts = ['-checkend', String(LEAF_DAYS * 86_400)]
  if ((await readTextFile(`${at}.crt`)).ok && (await openssl('x509', '-in', `${at}.crt`, '-noout', ...lasts)).ok)
    return done
  const key = await ensureKey(at)
  if (!key.ok) return key
  const settings = `${at}.cnf`
  const written = await writeNewTextFile(settings, settingsOf(name, 'ca', []))
  if (!written.ok) return written
  return openssl(
    ...['req', '-x509', '-new', '-sha256', '-key', `${at}.key`, '-config', settings],
    ...['-set_serial', serial(), '-days', String(AUTHORITY_DAYS), '-out', `${at}.crt`],
  )
}

/** A new certificate at `${at}.crt` for the key at `${at}.key`, which stays as it is where it is there. */
export async function certify(
  authority: string,
  at: string,
  name: string,
  hosts: readonly string[] | undefined,
): Promise<Result<unknown>> {
  const kind = hosts === undefined ? 'client' : 'server'
  const key = await ensureKey(at)
  if (!key.ok) return key
  const settings = `${authority}-${name}.cnf`
  const names = (hosts ?? []).map(host => `${/^[\d.]+$|:/.test(host) ? 'IP' : 'DNS'}:${host}`)
  const more = [
    'authorityKeyIdentifier = keyid',
    ...(names.length === 0 ? [] : [`subjectAltName = ${names.join(', ')}`]),
  ]
  const written = await writeNewTextFile(settings, settingsOf(name, kind, more))
  if (!written.ok) return written
  const request = `${authority}-${name}.csr`
  const asked = await openssl('req', '-new', '-sha256', '-key', `${at}.key`, '-config', settings, '-out', request)
  if (!asked.ok) return asked
  return openssl(
    ...['x509', '-req', '-sha256', '-in', request, '-CA', `${authority}.crt`, '-CAkey', `${authority}.key`],
    ...[
      '-set_serial',
      serial(),
      '-days',
      String(LEAF_DAYS),
      '-extfile',
      settings,
      '-extensions',
      kind,
      '-out',
      `${at}.crt`,
    ],
  )
}

/** As openssl writes it: `Feb 26 16:30:00 2029 GMT`. */
export async function expiryOf(certificate: string): Promise<Result<string>> {
  const said = await openssl('x509', '-in', certificate, '-noout', '-enddate')
  return said.ok ? { ok: true, value: said.value.trim().replace('notAfter=', '') } : said
}
