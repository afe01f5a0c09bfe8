#!/usr/bin/env bash
# datadiligence 0.1.7, c2pa-python 0.38.1, Pillow 12.3.0, Python 3.11, Linux; openssl makes the certificates. Reading
# whether a picture's content credentials permit training.
#
# Expected: a signed picture whose manifest says "notAllowed" for training is not allowed, in the assertion of C2PA 1
# ("c2pa.training-mining") and in that of CAWG, which took its place ("cawg.training-mining").
# Happens: only the older assertion is looked for. With the newer one, and with XMP that says plus:DataMining
# "DMI-PROHIBITED", the picture is allowed.
# Seen: "c2pa.training-mining: False", "cawg.training-mining: True", "plus:DataMining: True".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
    datadiligence==0.1.7 c2pa-python==0.38.1 pillow==12.3.0 2> /dev/null
openssl ecparam -name prime256v1 -genkey -noout -out root.key
openssl req -x509 -new -key root.key -days 30 -subj "/CN=Root/O=Owner" -out root.pem \
    -addext keyUsage=critical,keyCertSign 2> /dev/null
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out leaf.key
openssl req -new -key leaf.key -subj "/CN=Owner/O=Owner" -out leaf.csr
printf '%s\n' basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature extendedKeyUsage=emailProtection \
    subjectKeyIdentifier=hash authorityKeyIdentifier=keyid > extensions
openssl x509 -req -in leaf.csr -CA root.pem -CAkey root.key -CAcreateserial -days 30 -extfile extensions \
    -out leaf.pem 2> /dev/null
cat leaf.pem root.pem > chain.pem
venv/bin/python - <<'PYTHON' 2> /dev/null | grep "training-mining\|plus:" | tee said
import io

import c2pa
from datadiligence.evaluators import FileEvaluator
from PIL import Image, PngImagePlugin

xmp = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/">
<plus:DataMining>http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED</plus:DataMining>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
info = PngImagePlugin.PngInfo()
info.add_itxt("XML:com.adobe.xmp", xmp)
Image.new("RGB", (64, 64)).save("picture.png", pnginfo=info)
owner = c2pa.C2paSignerInfo(b"es256", open("chain.pem", "rb").read(), open("leaf.key", "rb").read(), None)
made = {"action": "c2pa.created", "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"}
for body in ("c2pa", "cawg"):
    entries = {f"{body}.ai_training": {"use": "notAllowed"}, f"{body}.data_mining": {"use": "notAllowed"}}
    assertions = [
        {"label": "c2pa.actions", "data": {"actions": [made]}},
        {"label": f"{body}.training-mining", "data": {"entries": entries}},
    ]
    builder = c2pa.Builder({"format": "image/png", "title": "picture", "assertions": assertions})
    signed = io.BytesIO()
    builder.sign(c2pa.Signer.from_info(owner), "image/png", open("picture.png", "rb"), signed)
    print(f"{body}.training-mining:", FileEvaluator().is_allowed(body=signed.getvalue()))
print("plus:DataMining:", FileEvaluator().is_allowed(path="picture.png"))
PYTHON
grep -qx "c2pa.training-mining: False" said && grep -qx "cawg.training-mining: True" said &&
    grep -qx "plus:DataMining: True" said
