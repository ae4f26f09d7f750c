/** What a site shows to its brokers, and by what it knows them: PEM files as texts. */
import type { MqttOptions, TlsTexts } from '../drivers/bus/mqtt.ts'
import { readGuarded } from '../drivers/keys/guarded-file.ts'
import { readTextFile } from '../drivers/text-file.ts'
import { fromUtf8 } from '../protocol/bytes.ts'
import { type Fault, fail, ok, type Result } from '../protocol/result.ts'

/**
 * How a bus is opened with these files, read anew before each attempt to connect. `onTls` hears what is wrong with them by then, and that
 * nothing is.
 */
export async function tlsFrom(
  files: TlsTexts | undefined,
  onTls: (fault: Fault | undefined) => void,
): Promise<Result<Pick<MqttOptions, 'tls' | 'renewTls' | 'onTls'>>> {
  if (files === undefined) return ok({})
  const texts = await readTls(files)
  return texts.ok ? ok({ tls: texts.value, renewTls: () => readTls(files), onTls }) : texts
}

/** Those for a broker of a device: the site's own where it is one of the site's brokers. */
export const tlsFilesFor = (
  { brokers, brokerTls }: { readonly brokers: readonly string[]; readonly brokerTls?: TlsTexts },
  broker: string,
): TlsTexts | undefined => (brokers.includes(broker) ? brokerTls : undefined)

/** A private key that others can read is refused. No fault repeats what a file holds. */
export async function readTls(files: TlsTexts): Promise<Result<TlsTexts>> {
  const texts: { ca?: string; cert?: string; key?: string } = {}
  for (const name of ['ca', 'cert'] as const) {
    const file = files[name]
    if (file === undefined) continue
    const text = await readTextFile(file)
    if (!text.ok) return text
    if (!text.value.includes('-----BEGIN CERTIFICATE-----'))
      return fail({ code: 'bus.certificate-file', file, hint: 'a certificate is PEM text' })
    texts[name] = text.value
  }
  if (files.key !== undefined) {
    const bytes = await readGuarded(files.key)
    if (!bytes.ok) return bytes
    const key = fromUtf8(bytes.value)
    if (key === undefined || !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key))
      return fail({ code: 'bus.key-file', file: files.key, hint: 'a private key is PEM text' })
    texts.key = key
  }
  return ok(texts)
}
