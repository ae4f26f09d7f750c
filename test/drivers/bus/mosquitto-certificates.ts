/** Certificates made by openssl for a broker and its clients, each for a day unless it is to be over already. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface Issue {
  /** `over` ended in the last century, `early` begins in forty years; else it is for today. */
  readonly when?: 'over' | 'early'
  /** Whom a server is called, as subjectAltName has it; else it is at this machine's loopback. */
  readonly host?: string
}

const DATES = {
  over: ['-startdate', '990101000000Z', '-enddate', '991231235959Z'],
  early: ['-startdate', '20660101000000Z', '-enddate', '20661231235959Z'],
} as const

export interface Authority {
  readonly ca: string
  /** Files of a certificate for this name, and of its key. */
  issue(name: string, how?: Issue): { readonly cert: string; readonly key: string }
}

export const noOpenssl: string | undefined = spawnSync('openssl', ['version']).status === 0 ? undefined : 'no-openssl'

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`)
}

export function makeAuthority(folder: string, name: string): Authority {
  const file = (part: string) => join(folder, `${name}-${part}`)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
    '-days',
    '1',
    '-subj',
    `/CN=${name}`,
  )
  writeFileSync(file('index'), '')
  writeFileSync(file('serial'), '1000')
  writeFileSync(
    file('ca.conf'),
    `[ca]\ndefault_ca = ours\n[ours]\ndatabase = ${file('index')}\nserial = ${file('serial')}\nnew_certs_dir = ${folder}
default_md = sha256\npolicy = any\ncopy_extensions = copy\nunique_subject = no\n[any]\ncommonName = supplied\n`,
  )
  return {
    ca: file('ca.pem'),
    issue(subject, { when, host = 'IP:127.0.0.1,DNS:localhost' } = {}) {
      const [key, request, cert] = [file(`${subject}.key`), file(`${subject}.csr`), file(`${subject}.pem`)]
      const forHost = ['-addext', `subjectAltName=${host}`]
      openssl('req', ...newKey, '-keyout', key, '-out', request, '-subj', `/CN=${subject}`, ...forHost)
      const days = when === undefined ? ['-days', '1'] : DATES[when]
      const by = ['-config', file('ca.conf'), '-cert', file('ca.pem'), '-keyfile', file('ca.key')]
      openssl('ca', '-batch', '-notext', ...by, '-in', request, '-out', cert, ...days)
      return { cert, key }
    },
  }
}

export const textsOf = ({
  ca,
  cert,
  key,
}: {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}) => ({
  ...(ca === undefined ? {} : { ca: readFileSync(ca, 'utf8') }),
  ...(cert === undefined ? {} : { cert: readFileSync(cert, 'utf8') }),
  ...(key === undefined ? {} : { key: readFileSync(key, 'utf8') }),
})
