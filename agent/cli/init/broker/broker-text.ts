/** The files of a Mosquitto that sites reach over TLS with certificates of their own: mosquitto.conf and its ACL. */
import { availabilityTopic, deviceOf, historyTopic } from '../../../publish/mqtt.ts'

/** The largest that an agent sends: a part of an answer about the ledger, below 64 KiB; a discovery message of many meters is larger. */
const MESSAGE_BYTES = 262_144
/** Messages for one client that does not take them: minutes of a street's trading, and a bound on what a dead one costs. */
const QUEUED = 1000

export const mosquittoConf = (folder: string, port: number): string =>
  `# Mosquitto for sites of Tieline. Written by \`tieline init --broker\`; the next run writes it anew.
# Nobody without a certificate of this authority, and who it is stands in the certificate alone.
listener ${port}
cafile ${folder}/ca.crt
certfile ${folder}/server.crt
keyfile ${folder}/server.key
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file ${folder}/acl

# Without it every acknowledged message waits some 80 ms for a delayed acknowledgement of TCP.
set_tcp_nodelay true
# What is retained (discovery, availability) survives a restart.
persistence true
persistence_location ${folder}/data/
autosave_interval 60
# One client cannot take the memory of all others.
message_size_limit ${MESSAGE_BYTES}
max_queued_messages ${QUEUED}
max_inflight_messages 256
`

/** A site publishes as itself alone; trading messages are sealed and signed by accounts that the broker does not know. */
export const aclText = (sites: readonly string[], home: string): string =>
  [
    '# Written by `tieline init --broker`; the next run writes it anew. A user is the CN of a certificate.',
    ...sites.flatMap(site => [
      '',
      `user ${site}`,
      ...[`tieline/${deviceOf(site)}/state`, availabilityTopic(deviceOf(site)), historyTopic(deviceOf(site))].map(
        topic => `topic write ${topic}`,
      ),
      '# What an earlier run left there is read, to be taken back.',
      `topic readwrite +/device/${deviceOf(site)}/config`,
      'topic read +/status',
      '# Messages to neighbours, to the address of an account: sealed for one reader and signed.',
      'topic readwrite tieline/1/+',
      '# Questions to ledger relays and their answers: verified by whoever asked.',
      'topic readwrite tieline/ledger/+/ask',
      'topic readwrite tieline/ledger/+/answer/+',
    ]),
    '',
    `user ${home}`,
    '# Home Assistant: hears every site, and says that it is there.',
    'topic read tieline/+/state',
    'topic read tieline/+/availability',
    'topic read tieline/+/history',
    'topic readwrite homeassistant/#',
    '',
  ].join('\n')
