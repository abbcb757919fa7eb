// Verification and Storage SCU. Usage: node scu.mjs HOST PORT CALLED-AE-TITLE [FILE ...]
// Without files one C-ECHO is sent. The exit code is 1 unless every response is a success.
import dcmjsDimse from 'dcmjs-dimse';

const { Client, Dataset, Transcoding, constants, requests } = dcmjsDimse;
// In milliseconds. It takes no notice of an A-ABORT, and waits for the peer to say more.
const PATIENCE = 5000;
const [host, port, called, ...files] = process.argv.slice(2);

function storeRequest(file) {
  const dataset = Dataset.fromFile(file);
  const request = new requests.CStoreRequest(dataset);
  request.setAdditionalTransferSyntaxes([dataset.getTransferSyntaxUid()]);
  return request;
}

// An association for each request: files of one SOP class share a presentation context, and would be transcoded.
function send(request) {
  return new Promise((resolve) => {
    const client = new Client();
    let succeeded = false;
    request.on('response', (response) => {
      succeeded = response.getStatus() === constants.Status.Success;
    });
    for (const event of ['associationRejected', 'networkError']) {
      client.on(event, (...details) => {
        console.error(event, ...details);
        resolve(false);
      });
    }
    client.on('closed', () => resolve(succeeded));
    client.addRequest(request);
    client.send(host, Number(port), 'DCMJS', called, { pduTimeout: PATIENCE });
  });
}

// An SCP may choose an uncompressed transfer syntax for a compressed file: both are proposed.
await Transcoding.initializeAsync();
let failures = 0;
for (const request of files.length ? files.map(storeRequest) : [new requests.CEchoRequest()]) {
  failures += (await send(request)) ? 0 : 1;
}
// Its timers may keep the process alive.
process.exit(failures ? 1 : 0);
