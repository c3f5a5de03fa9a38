#!/bin/sh
# Create the AWS roles of the nodes of cluster.yaml, once per account: sh jobs/launch/aws-iam.sh BUCKET
#
# Workers may only read and write the bucket. The head may also start and end instances, give them the workers' role and
# look up the machine image by its name.
set -eu
bucket=${1:?the name of the bucket that holds your stores}

trust='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "ec2.amazonaws.com"}}]}'
store='{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::'$bucket'"},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
         "Resource": "arn:aws:s3:::'$bucket'/*"}]}'

for role in sweeper-worker sweeper-head; do
    aws iam create-role --role-name $role --assume-role-policy-document "$trust" > /dev/null
    aws iam put-role-policy --role-name $role --policy-name store --policy-document "$store"
    aws iam create-instance-profile --instance-profile-name $role > /dev/null
    aws iam add-role-to-instance-profile --instance-profile-name $role --role-name $role
done

worker=$(aws iam get-role --role-name sweeper-worker --query Role.Arn --output text)
aws iam attach-role-policy --role-name sweeper-head --policy-arn arn:aws:iam::aws:policy/AmazonEC2FullAccess
aws iam attach-role-policy --role-name sweeper-head --policy-arn arn:aws:iam::aws:policy/AmazonSSMReadOnlyAccess
aws iam put-role-policy --role-name sweeper-head --policy-name workers --policy-document \
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "'"$worker"'"}]}'
