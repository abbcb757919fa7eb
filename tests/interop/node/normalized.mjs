// N-CREATE, N-SET and N-GET with dcmjs-dimse, in either role. It tells what it heard in lines of JSON.
//
// Usage: node normalized.mjs scp PORT SOP-CLASS ...
//        node normalized.mjs scu PORT CALLED-AE-TITLE SOP-CLASS ... < REQUESTS
//
// The SCP keeps instances by UID. REQUESTS are lists in JSON: service, SOP class, instance, then attributes by keyword
// or a list of keywords.
import { readFileSync } from 'node:fs';
import dcmjsDimse from 'dcmjs-dimse';

const { Client, Dataset, Scp, Server, constants, requests, responses } = dcmjsDimse;
const { PresentationContextResult, Status, TransferSyntax } = constants;
const DUPLICATE = 0x0111;
const NO_SUCH_INSTANCE = 0x0112;
const HOST = '127.0.0.1';
const [role, port, called] = process.argv.slice(2);

// It keeps notes of its own among the elements.
const tell = (what) => console.log(JSON.stringify(what, (name, value) => (name.startsWith('_') ? undefined : value)));
const elements = (dataset) => dataset?.getElements() ?? {};
const instances = new Map();

class Provider extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      context.setResult(PresentationContextResult.Accept, TransferSyntax.ImplicitVRLittleEndian);
    }
    this.sendAssociationAccept();
  }

  nCreateRequest(request, callback) {
    const uid = request.getAffectedSopInstanceUid();
    tell({ service: 'create', instance: uid, data: elements(request.getDataset()) });
    const response = responses.NCreateResponse.fromRequest(request);
    response.setStatus(instances.has(uid) ? DUPLICATE : Status.Success);
    instances.set(uid, elements(request.getDataset()));
    callback(response);
  }

  nSetRequest(request, callback) {
    const uid = request.getRequestedSopInstanceUid();
    tell({ service: 'set', instance: uid, data: elements(request.getDataset()) });
    const response = responses.NSetResponse.fromRequest(request);
    response.setStatus(instances.has(uid) ? Status.Success : NO_SUCH_INSTANCE);
    instances.set(uid, { ...instances.get(uid), ...elements(request.getDataset()) });
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

function requestOf([service, sopClass, uid, given]) {
  if (service === 'get') {
    return new requests.NGetRequest(sopClass, uid, given);
  }
  const request = new (service === 'create' ? requests.NCreateRequest : requests.NSetRequest)(sopClass, uid);
  request.setDataset(new Dataset(given));
  return request;
}

// One after the other: it would send the next request before the first is answered.
function ask(asked) {
  return new Promise((resolve, reject) => {
    const client = new Client();
    const request = requestOf(asked);
    request.on('response', (response) =>
      tell({ service: asked[0], Status: `${response.getStatus()}`, data: elements(response.getDataset()) }),
    );
    client.on('networkError', reject);
    client.on('associationRejected', reject);
    client.on('closed', resolve);
    client.addRequest(request);
    client.send(HOST, Number(port), 'DCMJS', called);
  });
}

if (role === 'scp') {
  new Server(Provider).listen(Number(port));
} else {
  for (const asked of JSON.parse(readFileSync(0, 'utf8'))) {
    await ask(asked);
  }
  // Its timers may keep the process alive.
  process.exit(0);
}
